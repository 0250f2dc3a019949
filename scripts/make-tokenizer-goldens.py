"""Makes small tokenizers under test/models/fixtures/tokenizers and what the tokenizers library makes of 10,000 texts with each.

Needs tokenizers, transformers 5, sentencepiece; run from the repository's root: python scripts/make-tokenizer-goldens.py
The texts are not stored: test/models/texts.ts makes the same ones of the same seeds. KIND.json is the tokenizer,
KIND.bin has three bytes for each text: two of a hash of its ids, one of the text that the ids are decoded to. samples.json has some of both
in full.
"""

import base64
import json
import os
import tempfile
from importlib.machinery import SourceFileLoader

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.normalizers import NFC, NFD, NFKC, NFKD, BertNormalizer, Lowercase, Nmt, Precompiled, Prepend, Replace, Strip, StripAccents
from tokenizers.pre_tokenizers import (
    BertPreTokenizer,
    ByteLevel,
    CharDelimiterSplit,
    Digits,
    Metaspace,
    Punctuation,
    Split,
    Whitespace,
    WhitespaceSplit,
)

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()
ROOT = "test/models/fixtures/tokenizers"
TEXTS = 10_000
SAMPLES = 40
CORPUS = goldens.CORPUS + [
    "Zwölf Boxkämpfer jagen Éva über den Sylter Deich.",
    "Съешь же ещё этих мягких французских булок.",
    "Ο φίλος ΜΑΣ είναι ΚΑΛΟΣ.",
    "今天天气很好。東京は静かです。",
    "def main():\n    return 12345 + x_1\n\n\tprint('done')  # it's OK",
]
LETTERS = sorted(set("".join(CORPUS)))

# Each group is as likely as its weight; `codes` are ranges of code points, `texts` are taken as they are.
GROUPS = [
    {"weight": 12, "texts": sorted({word for line in CORPUS for word in line.split()})},
    {"weight": 8, "texts": [" "]},
    {"weight": 2, "codes": [[32, 126]]},
    {"weight": 2, "texts": ["  ", "   ", "\n", "\r\n", "\t", "\n\n", " \n ", "\r", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff"]},
    {"weight": 1, "codes": [[0, 31], [127, 159]]},
    {"weight": 2, "texts": ["'s", "'S", "'t", "'re", "'VE", "'ll", "'ſ", "'d", "n't", "don't", "’s", "do not", " 'm", "..", "...", "``", "''", "--", "\u2019"]},
    {"weight": 2, "texts": ["0", "12", "345", "6789", "½", "²", "¾", "Ⅷ", "٣", "१२", "①", "𝟙", "𑄷", "12.5", "1,000", "\U00011de3", "\U00016ff4"]},
    {"weight": 2, "texts": ["İ", "ı", "I", "Σ", "ΟΣ", "ς", "ẞ", "ß", "K", "Å", "ǅ", "ſ", "ﬁ", "ﬃ", "ŉ", "Ⴀ", "Ა", "Ꭰ", "\ua7ce", "\U00010570", "\U0001e921"]},
    {"weight": 2, "texts": ["e\u0301", "é", "a\u0323\u0307", "a\u0307\u0323", "ạ̇", "o\u031b\u0301", "Å", "\u212b", "각", "\u1100\u1161\u11a8", "\u0344", "\u0958", "\u0f43", "\ufb1d", "\u2126", "\u1fee", "\U0001d15e", "q\u0307\u0323", "\u1734", "\u1cf2", "\u0897", "\u1ac1"]},
    {"weight": 1, "codes": [[0x300, 0x36F], [0x483, 0x489], [0x591, 0x5C7], [0x64B, 0x65F], [0x1AB0, 0x1ADD], [0x1DC0, 0x1DFF], [0x20D0, 0x20F0], [0xFE00, 0xFE2F]]},
    {"weight": 2, "texts": ["👍🏽", "👨‍👩‍👧", "🇩🇪", "❤️", "🏳️‍🌈", "1️⃣", "☃", "😀", "🫠", "\U0001fae9"]},
    {"weight": 2, "codes": [[0x4E00, 0x9FFF], [0x3040, 0x30FF], [0xAC00, 0xD7A3], [0x3400, 0x4DBF], [0x20000, 0x2A6DF], [0x2B820, 0x2CEAF], [0xF900, 0xFAFF], [0x2F800, 0x2FA1D]]},
    {"weight": 2, "texts": ["漢字", "東京", "今天", "。", "、", "「", "한국어", "ｶﾞ", "ｱ", "Ａ１", "㌔", "㍿", "𠀀", "𫠠"]},
    {"weight": 2, "texts": ["שלום", "שָׁלוֹם", "مرحبا", "ـمـ", "\u200fא", "\u202e", "\u2066", "\u200c", "\u200d", "नमस्ते", "ไทย", "ဗမာ", "ქართული"]},
    {"weight": 2, "codes": [[0xA1, 0x24F], [0x370, 0x52F], [0x5D0, 0x6FF], [0x900, 0xDFF], [0x1E00, 0x1FFE]]},
    {"weight": 1, "codes": [[0x2000, 0x2BFF], [0x3000, 0x303F], [0xFF00, 0xFFEF], [0x1F000, 0x1FAFF]]},
    {"weight": 1, "codes": [[0x0, 0xD7FF], [0xE000, 0x2FFFF]]},
    {"weight": 1, "codes": [[0xE000, 0x10FFFF]]},
    {"weight": 1, "texts": ["\ufffd", "\ufffe", "\U000e0041", "\U0010ffff", "\xad", "\ufe0f", "\u00b7", "_", "$", "€", "^", "`", "~", "▁", "▁▁", "Ġ", "Ċ", "##", "</w>", "<0x41>", "<0x0A>"]},
]
# In half of the texts also one of the tokenizer's own added tokens, and what is nearly one.
ADDED_WEIGHT = 6


class Random:
    """mulberry32, as in test/models/texts.ts."""

    def __init__(self, seed):
        self.state = seed & 0xFFFFFFFF

    def below(self, limit):
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((self.state ^ (self.state >> 15)) * (self.state | 1)) & 0xFFFFFFFF
        t = (t ^ ((t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) % limit


def text_of(index, added):
    random = Random(index)
    groups = list(GROUPS)
    if added and index % 2 == 1:
        groups.append({"weight": ADDED_WEIGHT, "texts": added})
    total = sum(group["weight"] for group in groups)
    parts = []
    for _ in range(random.below(16)):
        at = random.below(total)
        for group in groups:
            at -= group["weight"]
            if at < 0:
                break
        if "texts" in group:
            parts.append(group["texts"][random.below(len(group["texts"]))])
        else:
            low, high = group["codes"][random.below(len(group["codes"]))]
            code = low + random.below(high - low + 1)
            parts.append(chr(code) if not 0xD800 <= code <= 0xDFFF else "\ufffd")
    return "".join(parts)


def hashed(numbers):
    value = 0x811C9DC5
    for number in numbers:
        value = ((value ^ number) * 0x01000193) & 0xFFFFFFFF
    return (value ^ (value >> 16)) & 0xFFFF


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(CORPUS, trainer)
    return json.loads(tokenizer.to_str())["model"]


def word_piece(cased, prefix="##"):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix=prefix))
    tokenizer.normalizer = BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=420, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], continuing_subword_prefix=prefix, show_progress=False)
    return train(tokenizer, trainer)


def byte_pairs(pre_tokenizer, specials=(), **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=256 + len(specials) + 160, special_tokens=list(specials), initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    return {**train(tokenizer, trainer), **options}


def plain_pairs(specials, normalizer=None, pre_tokenizer=None, size=420, **options):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **options))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    affixes = {key: options[key] for key in ("continuing_subword_prefix", "end_of_word_suffix") if key in options}
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, limit_alphabet=90, show_progress=False, **affixes)
    return train(tokenizer, trainer)


def unigram(specials, normalizer, pre_tokenizer, **options):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=specials, unk_token="<unk>", show_progress=False)
    return {**train(tokenizer, trainer), **options}


def word_level(normalizer, pre_tokenizer):
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    return train(tokenizer, trainers.WordLevelTrainer(special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False))


def build(model, normalizer=None, pre_tokenizer=None, decoder=None, processor=None, added=()):
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}))
    for part, value in [("normalizer", normalizer), ("pre_tokenizer", pre_tokenizer), ("decoder", decoder)]:
        if value is not None:
            setattr(tokenizer, part, value)
    tokenizer.add_tokens([AddedToken(one, special=True) if isinstance(one, str) else one for one in added])
    if processor is not None:
        tokenizer.post_processor = processor(tokenizer)
    return tokenizer


def template(first, last):
    def processor(tokenizer):
        marks = [(mark, tokenizer.token_to_id(mark)) for mark in (first, last) if mark]
        single = " ".join(part for part in (first, "$A", last) if part)
        return processors.TemplateProcessing(single=single, pair=single + " $B:1" + (f" {last}:1" if last else ""), special_tokens=marks)

    return processor


def bert_processor(tokenizer):
    return processors.BertProcessing(("[SEP]", tokenizer.token_to_id("[SEP]")), ("[CLS]", tokenizer.token_to_id("[CLS]")))


def roberta_processor(tokenizer):
    return processors.RobertaProcessing(("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")))


def charsmap():
    """A small table of replacements of SentencePiece's own making."""
    with tempfile.TemporaryDirectory() as folder:
        rules = [("ﬁ", "fi"), ("ﬃ", "ffi"), ("e\u0301", "é"), ("Å", "A"), ("\t", " "), ("\n", " "), ("\r", " "), ("\r\n", " "), ("\u00a0", " "), ("\u3000", " "), ("\u200b", " "), ("½", "1/2"), ("Ａ", "A"), ("㌔", "キロ"), ("\ufeff", ""), ("a\u0307", "ȧ"), ("…", "..."), ("\u2028", " "), ("\x01", ""), ("İ", "i"), ("ǅ", "Dž")]
        with open(f"{folder}/rules.tsv", "w") as file:
            for source, target in (rule for rule in rules if rule[0] != rule[1]):
                file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        with open(f"{folder}/corpus.txt", "w") as file:
            file.write("\n".join(line for text in CORPUS for line in text.split("\n")))
        sentencepiece.SentencePieceTrainer.train(input=f"{folder}/corpus.txt", model_prefix=f"{folder}/m", vocab_size=200, normalization_rule_tsv=f"{folder}/rules.tsv", hard_vocab_limit=False, minloglevel=2)
        from sentencepiece import sentencepiece_model_pb2 as proto

        model = proto.ModelProto()
        with open(f"{folder}/m.model", "rb") as file:
            model.ParseFromString(file.read())
        return bytes(model.normalizer_spec.precompiled_charsmap)


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4 = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
GPT4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥\u3040-ゟ゠-ヿ]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]


def split_bytes(*patterns):
    splits = [Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])


def kinds():
    small = charsmap()
    yield "bert-uncased", build(word_piece(False), BertNormalizer(), BertPreTokenizer(), decoders.WordPiece(), bert_processor, BERT)
    accents = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    yield "bert-cased", build(word_piece(True), accents, BertPreTokenizer(), decoders.WordPiece(cleanup=False), template("[CLS]", "[SEP]"), BERT)
    yield "gpt2", build(byte_pairs(ByteLevel(False), ["<|endoftext|>"]), None, ByteLevel(False), decoders.ByteLevel(), None, ["<|endoftext|>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    yield "roberta", build(byte_pairs(ByteLevel(True), ["<s>", "<pad>", "</s>", "<unk>"]), None, ByteLevel(True), decoders.ByteLevel(), roberta_processor, ["<s>", "<pad>", "</s>", "<unk>", mask])
    llama = plain_pairs(["<unk>", "<s>", "</s>", *BYTES], None, Metaspace(), 600, byte_fallback=True, fuse_unk=True)
    prepended = normalizers.Sequence([Prepend("▁"), Replace(" ", "▁")])
    yield "llama2", build(llama, prepended, None, PIECES, template("<s>", None), ["<unk>", "<s>", "</s>"])
    yield "llama2-first", build(llama, None, Metaspace(prepend_scheme="first", split=False), PIECES, template("<s>", "</s>"), ["<unk>", "<s>", "</s>", AddedToken("[INST]", normalized=True), AddedToken("<|x|>", rstrip=True, normalized=False)])
    lost = json.loads(json.dumps(llama))
    lost["vocab"] = {token if token not in ("<0xF0>", "<0xC3>") else f"lost{i}": i for token, i in lost["vocab"].items()}
    yield "llama2-lost-bytes", build({**lost, "fuse_unk": False}, prepended, None, PIECES, None, ["<unk>", "<s>"])
    three = ["<|begin_of_text|>", "<|eot_id|>"]
    yield "llama3", build(byte_pairs(split_bytes(LLAMA3), ignore_merges=True), None, split_bytes(LLAMA3), decoders.ByteLevel(), template(three[0], None), three)
    yield "qwen2", build(byte_pairs(split_bytes(QWEN2)), NFC(), split_bytes(QWEN2), decoders.ByteLevel(), None, ["<|endoftext|>", "<|im_start|>", AddedToken("<tool_call>", normalized=False)])
    yield "gpt4", build(byte_pairs(split_bytes(GPT4)), None, split_bytes(GPT4), decoders.ByteLevel(), None, ["<|endoftext|>"])
    yield "gpt4o", build(byte_pairs(split_bytes(GPT4O)), None, split_bytes(GPT4O), decoders.ByteLevel(), None, ["<|endoftext|>"])
    neox = [AddedToken(" " * width, normalized=True) for width in (2, 3, 4)]
    yield "gpt-neox", build(byte_pairs(ByteLevel(False)), NFC(), ByteLevel(False), decoders.ByteLevel(), None, ["<|endoftext|>", *neox])
    yield "bloom", build(byte_pairs(split_bytes(BLOOM)), None, split_bytes(BLOOM), decoders.ByteLevel(), None, ["<s>"])
    falcon = pre_tokenizers.Sequence([Punctuation("contiguous"), ByteLevel(False), Digits(), Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    yield "falcon", build(byte_pairs(falcon), None, falcon, decoders.ByteLevel(), None, ["<|endoftext|>"])
    starcoder = pre_tokenizers.Sequence([Digits(individual_digits=True), ByteLevel(False)])
    yield "starcoder", build(byte_pairs(starcoder), None, starcoder, decoders.ByteLevel(), None, ["<fim_prefix>"])
    yield "deepseek", build(byte_pairs(split_bytes(*DEEPSEEK)), None, split_bytes(*DEEPSEEK), decoders.ByteLevel(), None, ["<｜begin▁of▁sentence｜>"])
    pieces = pre_tokenizers.Sequence([WhitespaceSplit(), Metaspace()])
    marks = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True, normalized=False)]
    yield "xlm-roberta", build(unigram(["<s>", "<pad>", "</s>", "<unk>"], Precompiled(small), pieces), Precompiled(small), pieces, decoders.Metaspace(), template("<s>", "</s>"), marks)
    albert = normalizers.Sequence([Replace("``", '"'), Replace("''", '"'), NFKD(), StripAccents(), Lowercase(), Precompiled(small)])
    yield "albert", build(unigram(["<pad>", "<unk>", "[CLS]", "[SEP]"], albert, pieces), albert, pieces, decoders.Metaspace(), template("[CLS]", "[SEP]"), ["<pad>", "<unk>", "[CLS]", "[SEP]", AddedToken("[MASK]", lstrip=True, special=True)])
    deberta = normalizers.Sequence([Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), NFC(), Strip(False, True)])
    punctuated = pre_tokenizers.Sequence([Punctuation(), Metaspace()])
    yield "deberta-v2", build(unigram(["[PAD]", "[CLS]", "[SEP]", "<unk>"], deberta, punctuated), deberta, punctuated, decoders.Metaspace(), template("[CLS]", "[SEP]"), ["[PAD]", "[CLS]", "[SEP]"])
    modern = normalizers.Sequence([Nmt(), NFKC(), Replace(Regex(" {2,}"), " ")])
    fallback = unigram(["<unk>", "<s>", "</s>", *BYTES], modern, Metaspace(), byte_fallback=True)
    yield "unigram-bytes", build(fallback, modern, Metaspace(prepend_scheme="never"), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")]), template(None, "</s>"), ["<s>", "</s>"])
    yield "whitespace", build(word_level(Lowercase(), Whitespace()), Lowercase(), Whitespace(), None, template("[CLS]", "[SEP]"), ["[UNK]", "[CLS]", "[SEP]", AddedToken("The", single_word=True), AddedToken("ΟΣ", normalized=True), AddedToken("film", single_word=True, lstrip=True, rstrip=True, normalized=False)])
    cut = pre_tokenizers.Sequence([WhitespaceSplit(), Punctuation("merged_with_next"), Digits()])
    stripped = normalizers.Sequence([NFD(), StripAccents(), Strip(True, True), Lowercase()])
    yield "words", build(word_level(stripped, cut), stripped, cut, decoders.WordPiece(prefix="@@", cleanup=True), None, ["[UNK]"])
    clip = normalizers.Sequence([NFC(), Replace(Regex(r"\s+"), " "), Lowercase()])
    clip_cut = Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)
    yield "clip", build(plain_pairs(["<unk>", "<s>", "</s>"], clip, clip_cut, end_of_word_suffix="</w>"), clip, clip_cut, decoders.BPEDecoder("</w>"), template("<s>", "</s>"), ["<unk>", "<s>", "</s>"])
    yield "prefixed-pairs", build(plain_pairs(["<unk>"], NFKC(), Whitespace(), continuing_subword_prefix="@", fuse_unk=True), NFKC(), Whitespace(), decoders.WordPiece(prefix="@"), None, ["<unk>"])
    gemma = plain_pairs(["<pad>", "<eos>", "<bos>", "<unk>", *BYTES], Replace(" ", "▁"), Split(" ", "merged_with_previous"), 600, byte_fallback=True, fuse_unk=True)
    yield "gemma", build(gemma, Replace(" ", "▁"), Split(" ", "merged_with_previous"), decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]), template("<bos>", None), ["<pad>", "<eos>", "<bos>", "<unk>", AddedToken("<2mass>", normalized=False), AddedToken("\n\n", normalized=False)])
    dashes = pre_tokenizers.Sequence([CharDelimiterSplit("-"), Split("o", "merged_with_next"), Split(Regex("[.,]+"), "contiguous", invert=True)])
    yield "delimiter", build(plain_pairs(["<unk>"], NFKD(), dashes), NFKD(), dashes, decoders.Fuse(), None, ["<unk>", AddedToken("ö", normalized=True), AddedToken("ﬁ", normalized=False)])
    byte_words = pre_tokenizers.Sequence([WhitespaceSplit(), BertPreTokenizer()])
    yield "byte-words", build(byte_pairs(ByteLevel(False)), normalizers.Sequence([normalizers.ByteLevel()]), byte_words, decoders.ByteLevel(), None, ["<s>"])


def nearly(tokens):
    """Added tokens, whole and in odd company."""
    out = []
    for token in tokens:
        out += [token, f" {token}", f"{token} ", f"x{token}", token[:-1], token.upper(), f"\u3000{token}\n"]
    return out


def main():
    os.makedirs(ROOT, exist_ok=True)
    samples, lists = {}, {}
    for name, tokenizer in kinds():
        tokenizer.save(f"{ROOT}/{name}.json", pretty=False)
        added = nearly([token.content for _, token in sorted(tokenizer.get_added_tokens_decoder().items())])
        lists[name] = added
        stored, kept = bytearray(), []
        for index in range(TEXTS):
            text = text_of(index, added)
            ids = tokenizer.encode(text).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=True)
            stored += hashed(ids).to_bytes(2, "little") + bytes([hashed(decoded.encode()) & 255])
            if index < SAMPLES:
                kept.append({"text": text, "ids": ids, "decoded": decoded})
        with open(f"{ROOT}/{name}.bin", "wb") as file:
            file.write(stored)
        samples[name] = kept
        unknown = sum(len(one["ids"]) for one in kept)
        print(name, tokenizer.get_vocab_size(), unknown)
    with open(f"{ROOT}/samples.json", "w") as file:
        json.dump(samples, file, separators=(",", ":"), ensure_ascii=True)
    with open(f"{ROOT}/texts.json", "w") as file:
        json.dump({"groups": GROUPS, "addedWeight": ADDED_WEIGHT, "added": lists}, file, separators=(",", ":"), ensure_ascii=True)


main()
