"""Makes test/models/fixtures/tokenizer-folders.json: small folders of tokenizer files, and what transformers makes of texts with each.

Needs transformers 5; run from the repository's root: python scripts/make-tokenizer-folder-goldens.py
The folders differ in what decides a tokenizer beside its vocabulary: the class, the settings, the places of added tokens.
"""

import json
import os
import tempfile
import warnings

import transformers
from transformers import AutoTokenizer

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

OUT = "test/models/fixtures/tokenizer-folders.json"
TEXTS = [
    ("the film was good", None),
    ("The FILM, was Góod!", None),
    ("", None),
    ("the [MASK] film <mask> x<mask> y", None),
    ("a <pad> b </s> c <s>d [SEP][CLS] <|endoftext|> <unk>", None),
    ("film<ent> the <ENT>  ent <new>film the<new>  x thenew <x> .", None),
    ("東京 the  film\n\tit's", None),
    ("good . it 's n't do not , bad", None),
    ("the film", "was bad"),
    ("", "good"),
    ("the [SEP] film", ""),
]
WORDS = "the film was good bad a b c d x it is ent new ##s ##lm ##od fi go . , ' s t n ##t e o h f i l m w".split()


def word_pieces(specials):
    return [*specials, *WORDS]


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LETTERS = [*"abcdefghilmnoprstuwxy.,'!<>/|_[]", "Ġ", "Ċ", "T", "F", "S", "Ã", "³"]
MERGES = ["t h", "th e", "Ġ f", "i l", "il m", "Ġf ilm", "Ġ w", "a s", "Ġw as", "Ġ the", "g o", "o d", "f ilm"]
PIECES = [*"abcdefghilmnoprstuwxy.,'!", "▁"]
PIECE_MERGES = ["t h", "th e", "▁ the", "i l", "il m", "f ilm", "▁ film", "▁ w"]


def numbered(tokens):
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def pairs_vocabulary(specials, letters=LETTERS, merges=MERGES, rest=()):
    return numbered([*specials, *letters, *[merge.replace(" ", "") for merge in merges], *rest])


def added(tokens, **flags):
    return [{"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags} for token, number in tokens]


def saved(model, tokens=(), **parts):
    usual = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    return {**usual, **parts, "model": model}


def bert_json(specials=BERT, **parts):
    vocab = numbered(word_pieces(specials))
    model = {"type": "WordPiece", "vocab": vocab, "unk_token": specials[1], "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    usual = {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(specials[2], specials[3], vocab),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    }
    return saved(model, added([(token, vocab[token]) for token in specials]), **{**usual, **parts})


def template(first, last, vocab):
    items = [{"SpecialToken": {"id": first, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, *([{"SpecialToken": {"id": last, "type_id": 0}}] if last else [])]
    pair = [*items, {"Sequence": {"id": "B", "type_id": 1}}, *([{"SpecialToken": {"id": last, "type_id": 1}}] if last else [])]
    marks = [mark for mark in (first, last) if mark]
    return {"type": "TemplateProcessing", "single": items, "pair": pair, "special_tokens": {mark: {"id": mark, "ids": [vocab[mark]], "tokens": [mark]} for mark in marks}}


def byte_json(specials, **parts):
    vocab = pairs_vocabulary(specials)
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": [merge.split(" ") for merge in MERGES]}
    usual = {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}
    return saved(model, added([(token, vocab[token]) for token in specials]), **{**usual, **parts})


def piece_json(**parts):
    specials = ["<unk>", "<s>", "</s>"]
    vocab = pairs_vocabulary([*specials, *[f"<0x{byte:02X}>" for byte in range(256)]], PIECES, PIECE_MERGES)
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": PIECE_MERGES}
    usual = {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "post_processor": template("<s>", None, vocab),
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    }
    return saved(model, added([(token, vocab[token]) for token in specials]), **{**usual, **parts})


def scored_json(specials, unknown, **parts):
    pieces = ["▁", "▁the", "▁film", "▁was", "the", "film", *"abcdefghilmnoprstuwxy.,'!"]
    vocab = [*[[token, 0.0] for token in specials], *[[piece, -2.0 - 0.13 * number] for number, piece in enumerate(pieces)]]
    usual = {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}}
    model = {"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": False}
    return saved(model, added([(token, number) for number, token in enumerate(specials)]), **{**usual, **parts})


def token(content, **flags):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **flags}


def decoder(entries):
    return {str(number): {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True, **flags} for number, content, flags in entries}


def folders():
    def words(specials=BERT):
        return {"vocab.txt": "\n".join(word_pieces(specials)) + "\n"}

    def pairs(specials):
        return {"vocab.json": pairs_vocabulary(specials), "merges.txt": "#version: 0.2\n" + "\n".join(MERGES) + "\n"}

    named = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    config = "tokenizer_config.json"
    fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
    extra = decoder([(len(word_pieces(BERT)), "<ent>", {"rstrip": True, "normalized": True, "special": False}), (len(word_pieces(BERT)) + 1, "<new>", {"lstrip": True, "single_word": True}), (3, "[SEP]", {}), (4, "[MASK]", {"lstrip": True})])

    yield "vocab.txt", "bert", words()
    yield "cased", "bert", {**words(), config: {"do_lower_case": False}}
    yield "accents kept", "bert", {**words(), config: {"strip_accents": False, "tokenize_chinese_chars": False}}
    yield "line ends of Windows", "bert", {"vocab.txt": "\r\n".join([*word_pieces(BERT), "the"]) + "\r\n"}
    yield "names in special_tokens_map", "bert", {**words(ROBERTA), "special_tokens_map.json": named}
    yield "objects in special_tokens_map", "bert", {**words(ROBERTA), "special_tokens_map.json": {**named, "mask_token": {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": True, "single_word": False}}}
    yield "names in tokenizer_config", "bert", {**words(ROBERTA), config: named}
    yield "map before config", "bert", {**words([*BERT, "<s>"]), config: {"cls_token": "[CLS]"}, "special_tokens_map.json": {"cls_token": "<s>"}}
    yield "added_tokens.json", "bert", {**words(), "added_tokens.json": {"<ent>": len(word_pieces(BERT)), "<new>": len(word_pieces(BERT)) + 1}}
    yield "special among added_tokens.json", "bert", {**words(), "added_tokens.json": {"<ent>": len(word_pieces(BERT))}, "special_tokens_map.json": {"additional_special_tokens": ["<ent>", "<new>"]}}
    yield "added_tokens_decoder", "bert", {**words(), config: {"added_tokens_decoder": extra}}
    yield "added_tokens_decoder and a map", "bert", {**words(), config: {"added_tokens_decoder": extra}, "special_tokens_map.json": {"cls_token": "the"}}
    yield "extra special tokens", "bert", {**words(), config: {"additional_special_tokens": ["<ent>", token("<new>", lstrip=True)]}}
    yield "extra special tokens by name", "bert", {**words(), config: {"extra_special_tokens": {"image_token": "<ent>"}}}
    yield "a token of a name of its own", "bert", {**words(), config: {"entity_token": "<ent>"}}
    yield "no mask in the vocabulary", "bert", words(BERT[:4])
    yield "a named token with flags", "bert", {**words(), config: {"mask_token": token("[MASK]", lstrip=True), "unk_token": token("[UNK]")}}
    yield "no types", "bert", {**words(), config: {"model_input_names": ["input_ids", "attention_mask"]}}
    yield "special tokens as text", "bert", {**words(), config: {"split_special_tokens": True}}
    yield "tidied text", "bert", {**words(), config: {"clean_up_tokenization_spaces": True}}
    yield "DistilBertTokenizer", "bert", {**words(), config: {"tokenizer_class": "DistilBertTokenizer"}}
    yield "ElectraTokenizerFast", "bert", {**words(), config: {"tokenizer_class": "ElectraTokenizerFast"}}
    yield "MPNetTokenizer", "bert", {**words([*ROBERTA, "[UNK]"]), config: {"tokenizer_class": "MPNetTokenizer"}}
    yield "RoBERTa with BertTokenizer", "roberta", {**words(ROBERTA), config: {"tokenizer_class": "BertTokenizer", **named}}
    yield "GPT-2 with BertTokenizer", "gpt2", {**words(), config: {"tokenizer_class": "BertTokenizer"}}
    yield "a class in config.json", "gpt2", {**words(), "config.json": {"tokenizer_class": "BertTokenizer"}}

    yield "tokenizer.json without a class", "bert", {"tokenizer.json": bert_json()}
    yield "tokenizer.json as it is", "bert", {"tokenizer.json": bert_json(), config: fast}
    yield "tokenizer.json as it is, with types", "bert", {"tokenizer.json": bert_json(), config: {**fast, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}}
    yield "other steps without a class", "bert", {"tokenizer.json": bert_json(pre_tokenizer={"type": "WhitespaceSplit"}, normalizer=None)}
    yield "other steps as they are", "bert", {"tokenizer.json": bert_json(pre_tokenizer={"type": "WhitespaceSplit"}, normalizer=None), config: fast}
    yield "no post-processor", "bert", {"tokenizer.json": bert_json(post_processor=None), config: fast}
    yield "no post-processor, a class", "bert", {"tokenizer.json": bert_json(post_processor=None)}
    yield "other names as they are", "bert", {"tokenizer.json": bert_json(), config: {**fast, "cls_token": "<s>", "mask_token": token("[MASK]", lstrip=True)}}
    yield "a map beside tokenizer.json", "bert", {"tokenizer.json": bert_json(), config: fast, "special_tokens_map.json": {"pad_token": "<pad>", "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}}}
    yield "added_tokens_decoder beside tokenizer.json", "bert", {"tokenizer.json": bert_json(), config: {**fast, "added_tokens_decoder": extra}}
    yield "added_tokens_decoder beside a class", "bert", {"tokenizer.json": bert_json(), config: {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": extra}}
    yield "added tokens of a file with a class", "bert", {"tokenizer.json": {**bert_json(), "added_tokens": [*bert_json()["added_tokens"], *added([("<ent>", 60)], special=False, rstrip=True)]}}
    yield "add_bos_token beside tokenizer.json", "bert", {"tokenizer.json": bert_json(), config: {**fast, "add_bos_token": True, "bos_token": "<s>"}}

    end = ["<|endoftext|>"]
    yield "vocab.json", "gpt2", pairs(end)
    yield "add_bos_token", "gpt2", {**pairs(end), config: {"add_bos_token": True}}
    yield "add_eos_token", "gpt2", {**pairs(end), config: {"tokenizer_class": "GPT2TokenizerFast", "add_eos_token": True, "pad_token": "<pad>"}}
    yield "add_prefix_space", "gpt2", {**pairs(end), config: {"add_prefix_space": True, "clean_up_tokenization_spaces": True}}
    yield "OPT", "opt", {**pairs(["<s>", "<pad>", "</s>"]), config: {"add_bos_token": True, "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}}
    yield "OPT without settings", "opt", pairs(["<s>", "<pad>", "</s>"])
    yield "Llama with GPT2Tokenizer", "llama", {**pairs(end), config: {"tokenizer_class": "GPT2Tokenizer"}}
    yield "RoBERTa", "roberta", pairs(ROBERTA)
    yield "RoBERTa with flags", "roberta", {**pairs(ROBERTA), config: {"add_prefix_space": True, "mask_token": token("<mask>", lstrip=True)}}
    yield "RoBERTa with other marks", "roberta", {**pairs([*ROBERTA, "[CLS]", "[SEP]"]), config: {"cls_token": "[CLS]", "sep_token": "[SEP]"}}
    yield "BERT with RobertaTokenizer", "bert", {**pairs(ROBERTA), config: {"tokenizer_class": "RobertaTokenizer"}}
    yield "BartTokenizerFast", "roberta", {**pairs(ROBERTA), config: {"tokenizer_class": "BartTokenizerFast"}}
    yield "DebertaTokenizer", "bert", {**pairs(BERT), config: {"tokenizer_class": "DebertaTokenizer"}}
    yield "Qwen2Tokenizer", "llama", {**pairs(end), config: {"tokenizer_class": "Qwen2Tokenizer", "additional_special_tokens": ["<ent>"]}}
    yield "GPTNeoXTokenizer", "gpt2", {**pairs([*end, "<|padding|>"]), config: {"tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": True}}

    byte_template = {"post_processor": template("<|endoftext|>", None, pairs_vocabulary(end))}
    yield "GPT-2's tokenizer.json", "gpt2", {"tokenizer.json": byte_json(end)}
    yield "GPT-2's tokenizer.json with a template", "gpt2", {"tokenizer.json": byte_json(end, **byte_template)}
    yield "GPT-2's tokenizer.json and add_bos_token", "gpt2", {"tokenizer.json": byte_json(end), config: {"add_bos_token": True}}
    yield "GPTNeoX's tokenizer.json with a template", "gpt2", {"tokenizer.json": byte_json(end, **byte_template), config: {"tokenizer_class": "GPTNeoXTokenizer"}}
    yield "RoBERTa's tokenizer.json", "roberta", {"tokenizer.json": byte_json(ROBERTA, pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})}
    yield "Llama 3's with Llama's class", "llama", {"tokenizer.json": byte_json(end, **byte_template), config: {"tokenizer_class": "LlamaTokenizer", "bos_token": "<|endoftext|>"}}
    yield "Llama's tokenizer.json", "llama", {"tokenizer.json": piece_json()}
    yield "LlamaTokenizer", "llama", {"tokenizer.json": piece_json(), config: {"tokenizer_class": "LlamaTokenizer"}}
    yield "LlamaTokenizer, legacy", "llama", {"tokenizer.json": piece_json(), config: {"tokenizer_class": "LlamaTokenizerFast", "legacy": True}}
    yield "LlamaTokenizer without a space", "llama", {"tokenizer.json": piece_json(), config: {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False}}
    yield "Llama without add_bos_token", "llama", {"tokenizer.json": piece_json(), config: {"tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "add_eos_token": True}}
    yield "GemmaTokenizer", "llama", {"tokenizer.json": piece_json(), config: {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}}

    yield "XLMRobertaTokenizer", "roberta", {"tokenizer.json": scored_json(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 3), config: {"tokenizer_class": "XLMRobertaTokenizer"}}
    yield "CamembertTokenizer", "roberta", {"tokenizer.json": scored_json(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 3), config: {"tokenizer_class": "CamembertTokenizer"}}
    yield "AlbertTokenizer", "bert", {"tokenizer.json": scored_json(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], 1), config: {"tokenizer_class": "AlbertTokenizer"}}
    yield "DebertaV2Tokenizer", "bert", {"tokenizer.json": scored_json(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], 3), config: {"tokenizer_class": "DebertaV2Tokenizer", "split_by_punct": True, "do_lower_case": True}}
    yield "T5Tokenizer", "llama", {"tokenizer.json": scored_json(["<pad>", "</s>", "<unk>"], 2), config: {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}}


def main():
    out = []
    for name, architecture, files in folders():
        with tempfile.TemporaryDirectory() as folder:
            written = {file: content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) for file, content in files.items()}
            config = json.dumps({"model_type": architecture, **json.loads(written.pop("config.json", "{}"))})
            for file, content in {**written, "config.json": config}.items():
                with open(os.path.join(folder, file), "w", newline="") as target:
                    target.write(content)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            cases = []
            for text, pair in TEXTS:
                if pair is not None and architecture not in ("bert", "roberta"):
                    continue
                # As batches: alone, an empty second text counts as none.
                encoded = tokenizer([text]) if pair is None else tokenizer([text], [pair])
                ids = [int(one) for one in encoded["input_ids"][0]]
                types = encoded["token_type_ids"][0] if "token_type_ids" in encoded else [0] * len(ids)
                cases.append({"text": text, "pair": pair, "ids": ids, "types": [int(one) for one in types], "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
        print(f"{name}: {type(tokenizer).__name__}")
        out.append({"name": name, "architecture": architecture, "config": config, "files": written, "cases": cases})
    with open(OUT, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(one, separators=(",", ":"), ensure_ascii=True) for one in out) + "\n]\n")


main()
