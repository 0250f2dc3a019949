import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalogNames, catalogSpec } from "../../src/models/catalog.ts";
import { configJson, specOf } from "../../src/models/config.ts";
import { baseOf } from "../../src/models/families/all.ts";
import type { ModelSpec } from "../../src/program/spec.ts";

const base = {
  model_type: "bert",
  num_hidden_layers: 2,
  hidden_size: 128,
  num_attention_heads: 2,
  intermediate_size: 512,
  vocab_size: 30_522,
  max_position_embeddings: 512,
};
const spec = (fields: Record<string, unknown>, overrides = {}) =>
  specOf(JSON.stringify({ ...base, ...fields }), overrides);

const gpt2 = { model_type: "gpt2", n_layer: 12, n_embd: 768, n_head: 12, n_positions: 1024, vocab_size: 50_257 };
const opt = {
  model_type: "opt",
  num_hidden_layers: 12,
  hidden_size: 768,
  num_attention_heads: 12,
  ffn_dim: 3072,
  max_position_embeddings: 2048,
  vocab_size: 50_272,
};
const llama = {
  model_type: "llama",
  num_hidden_layers: 22,
  hidden_size: 2048,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  intermediate_size: 5632,
  max_position_embeddings: 2048,
  vocab_size: 32_000,
  rms_norm_eps: 1e-5,
};
const of = (config: Record<string, unknown>, overrides = {}) => specOf(JSON.stringify(config), overrides);

describe("specOf", () => {
  it("fills in Hugging Face's defaults", () => {
    expect(spec({})).toEqual(catalogSpec("bert-tiny", { embedding: "private", gelu: "exact", softmax: "exact" }));
    expect(spec({ model_type: "roberta", type_vocab_size: 1 })).toMatchObject({ positionOffset: 2, types: 1 });
    expect(spec({ model_type: "roberta", pad_token_id: 4 }).positionOffset).toBe(5);
  });

  it("knows labels and problems", () => {
    expect(spec({ id2label: { 0: "no", 1: "yes", 2: "so" } }).labelNames).toEqual(["no", "yes", "so"]);
    expect(spec({ num_labels: 3 })).toMatchObject({ labels: 3, problem: "classification" });
    expect(spec({ num_labels: 1 }).problem).toBe("regression");
    expect(spec({ id2label: { 0: "LABEL_0" } })).toMatchObject({ labels: 1, problem: "regression" });
    expect(spec({ num_labels: 1, problem_type: "regression" }).problem).toBe("regression");
    expect(spec({ id2label: { 0: "a", 1: "b" }, label2id: { LABEL_0: 1, b: "1" } }).labelNames).toEqual(["a", "b"]);
  });

  it("knows stand-ins: its own field, MPCFormer's, and the caller's choice over both", () => {
    expect(spec({ mpcformer: { gelu: "quad", softmax: "2quad", embedding: "private" } })).toMatchObject({
      gelu: "quad",
      softmax: "2quad:5",
      embedding: "private",
    });
    expect(spec({ hidden_act: "quad", softmax_act: "2quad" })).toMatchObject({ gelu: "quad", softmax: "2quad:5" });
    expect(spec({ hidden_act: "relu" }).gelu).toBe("relu");
    expect(spec({ hidden_act: "gelu_new" }).gelu).toBe("tanh");
    expect(spec({ hidden_act: "gelu_python" }).gelu).toBe("exact");
    expect(spec({ mpcformer: { gelu: "quad" } }, { gelu: "exact", softmax: "2relu" })).toMatchObject({
      gelu: "exact",
      softmax: "2relu:0.01",
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "another model type",
      { model_type: "SECRET" },
      /model_type: this model type is not supported: use bert, .* or \w+/,
    ],
    ["no model type", { model_type: undefined }, /model_type: the field is missing/],
    ["no layers", { num_hidden_layers: 0 }, /num_hidden_layers: must be a whole number from 1 to 128/],
    ["a fractional width", { hidden_size: 12.5 }, /hidden_size: must be a whole number/],
    ["a width as text", { hidden_size: "SECRET" }, /hidden_size: must be a whole number/],
    ["a gigantic vocabulary", { vocab_size: 1e12 }, /vocab_size: must be a whole number from 1 to 2000000/],
    ["heads that do not divide", { num_attention_heads: 3 }, /num_attention_heads must divide hidden_size/],
    ["epsilon 0", { layer_norm_eps: 0 }, /layer_norm_eps: must be 1e-15 or more/],
    ["relative positions", { position_embedding_type: "relative_key" }, /only absolute positions/],
    ["a decoder", { is_decoder: true }, /decoders of this type are not supported/],
    ["another activation", { hidden_act: "SECRET" }, /this hidden_act is not supported: use gelu, gelu_new, relu/],
    ["cross-attention", { add_cross_attention: true }, /add_cross_attention: must be false/],
    ["two stacks", { is_encoder_decoder: true }, /is_encoder_decoder: must be false/],
    ["one class", { num_labels: 1, problem_type: "single_label_classification" }, /with one label/],
    ["labels that contradict", { id2label: { 0: "a", 1: "b" }, label2id: { a: 1, b: 0 } }, /id2label and label2id con/],
    ["an unknown stand-in", { mpcformer: { softmax: "3quad" } }, /unknown softmax "3quad": use one of exact, 2quad/],
    ["an unknown field of ours", { mpcformer: { SECRET: 1 } }, /mpcformer: remove the unknown field/],
    ["an unknown embedding", { mpcformer: { embedding: "SECRET" } }, /embedding: must be public or private/],
    ["another problem", { problem_type: "ranking" }, /problem_type: must be one of regression, single_label/],
    ["labels that disagree", { num_labels: 3, id2label: { 0: "a", 1: "b" } }, /num_labels and id2label must agree/],
    ["labels with a hole", { id2label: { 0: "a", 2: "b" } }, /id2label must name the labels 0 to 1/],
    [
      "a label that moves the cursor",
      { id2label: { 0: "\u001b[2J", 1: "b" } },
      /labels are 1 to 100 printable letters/,
    ],
    ["too few positions", { model_type: "roberta", max_position_embeddings: 2 }, /must be larger than pad_token_id/],
  ])("refuses %s", (_, fields, message) => {
    expect(() => spec(fields)).toThrow(message);
    try {
      spec(fields);
    } catch (error) {
      expect((error as Error).message).not.toMatch(/SECRET|\n/);
    }
  });

  it("refuses what is not JSON without repeating it", () => {
    expect(() => specOf("SECRET")).toThrow(/^config\.json is not valid JSON: copy the file again$/);
  });
});

describe("an activation's name", () => {
  const names = ["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh"];
  it.each([...names, "gelu_python_tanh", "relu"])("%s is computed", (hidden_act) => {
    const expected = hidden_act === "relu" ? "relu" : /^gelu(_python)?$/.test(hidden_act) ? "exact" : "tanh";
    expect(spec({ hidden_act }).gelu).toBe(expected);
  });

  const others = ["gelu_10", "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu2", "relu6"];
  it.each([...others, "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh", "prelu", "xielu"])(
    "%s is refused by name",
    (name) => {
      expect(() => spec({ hidden_act: name })).toThrow(`hidden_act "${name}" is not supported`);
      expect(() => of({ ...gpt2, activation_function: name })).toThrow(
        `activation_function "${name}" is not supported`,
      );
    },
  );
});

describe("architectures", () => {
  it.each([
    ["bert", "BertForSequenceClassification"],
    ["roberta", "RobertaForSequenceClassification"],
  ])("%s answers as %s, and as heads that judge tokens", (model_type, name) => {
    expect(spec({ model_type, architectures: [name] }).architecture).toBe(model_type);
    expect(spec({ model_type, architectures: null }).architecture).toBe(model_type);
    const family = name.replace("ForSequenceClassification", "");
    const problemOf = (task: string) => spec({ model_type, architectures: [`${family}For${task}`] }).problem;
    const problems = ["TokenClassification", "QuestionAnswering", "MaskedLM"].map(problemOf);
    expect(problems).toEqual(["tokens", "spans", "mask"]);
    for (const task of ["NextSentencePrediction", "MultipleChoice", "PreTraining"]) {
      const config = { model_type, architectures: [`${family}For${task}`] };
      expect(() => spec(config)).toThrow(`architectures says ${family}For${task}, which`);
      // To be fine-tuned, with another head.
      expect(specOf(JSON.stringify({ ...base, ...config }), {}, "replaced").architecture).toBe(model_type);
    }
    expect(() => spec({ model_type, architectures: ["Another"] })).toThrow(/Another, which is not known: give a /);
    expect(spec({ model_type, architectures: [`${family}Model`] })).toMatchObject({
      problem: "vector",
      pooling: { of: "mean", unit: false },
    });
  });

  it("of decoders are those that continue texts", () => {
    for (const [config, family, head] of [
      [gpt2, "GPT2", "LMHeadModel"],
      [opt, "OPT", "ForCausalLM"],
      [llama, "Llama", "ForCausalLM"],
    ] as const) {
      for (const name of [`${family}${head}`, `${family}Model`])
        expect(of({ ...config, architectures: [name] })).toEqual(of(config));
      for (const task of ["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"])
        expect(() => of({ ...config, architectures: [family + task] })).toThrow(`says ${family}${task}, which`);
    }
    expect(() => of({ ...gpt2, architectures: ["GPT2DoubleHeadsModel"] })).toThrow(/which has two heads/);
  });
});

describe("fields that are not read", () => {
  it.each<[string, unknown]>([
    ["use_rel_pos", true],
    ["rotary_pct", 0.25],
    ["sliding_window", 4096],
    ["layer_types", ["sliding_attention"]],
    ["final_logit_softcapping", 30],
    ["attn_logit_softcapping", 50],
    ["embedding_multiplier", 12],
    ["residual_multiplier", 0.2],
    ["query_pre_attn_scalar", 256],
    ["quantization_config", { bits: 4 }],
    ["compression_config", { format: "pack-quantized" }],
    ["adapters", { default: {} }],
    ["auto_map", { AutoModel: "modeling.Mine" }],
    ["pruned_heads", { 0: [1] }],
    ["qk_norm", true],
    ["use_alibi_of_ours", true],
    ["num_experts", 8],
    ["new_decoder_architecture", true],
    ["hidden_size_per_layer_input", 256],
    ["text_config", { model_type: "llama" }],
    ["embedding_size", 64],
    ["prune\u001b[2J_heads", 1],
  ])("%s is refused by name, and ignored where it is off", (name, value) => {
    for (const config of [{ ...base }, gpt2, opt, llama]) {
      expect(() => of({ ...config, [name]: value })).toThrow(/^config\.json: [\x20-\x7e]*$/);
      expect(() => of({ ...config, [name]: value })).toThrow(name.startsWith("prune\u001b") ? "prune?[2J" : name);
      for (const off of [null, false]) if (name !== "layer_types") of({ ...config, [name]: off });
    }
  });

  it.each<[string, unknown]>([
    ["attention_probs_dropout_prob", 0.1],
    ["attn_pdrop", 0.1],
    ["hidden_dropout_prob", 0.1],
    ["classifier_dropout", 0.2],
    ["layerdrop", 0.1],
    ["initializer_range", 0.02],
    ["torch_dtype", "float16"],
    ["dtype", "bfloat16"],
    ["transformers_version", "4.9.2"],
    ["_name_or_path", "some/model"],
    ["gradient_checkpointing", true],
    ["use_cache", true],
    ["pooler_type", "first_token_transform"],
    ["pooler_fc_size", 768],
    ["directionality", "bidi"],
    ["task_specific_params", { "text-generation": { max_length: 50 } }],
    ["summary_type", "cls_index"],
    ["summary_activation", "tanh"],
    ["eos_token_id", [1, 2]],
    ["decoder_start_token_id", 2],
    ["pretraining_tp", 2],
    ["finetuning_task", "sst2"],
    ["_num_labels", 2],
    ["unsloth_version", "2024.9"],
    ["max_length", 20],
    ["note", "trained by hand"],
    ["tokenizer_class", "BertTokenizer"],
    ["n_ctx", 1024],
  ])("%s changes nothing", (name, value) => {
    for (const config of [{ ...base }, gpt2, opt, llama]) expect(of({ ...config, [name]: value })).toEqual(of(config));
  });
});

describe("a label's name", () => {
  it.each([
    ["a Persian word with a joiner", "می\u200cخواهم"],
    ["an emoji of several", "👩\u200d👩\u200d👧\u200d👦"],
    ["an emoji with a selector", "❤\ufe0f"],
    ["a flag made of tags", "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}"],
    ["Hebrew with a direction mark", "שלום\u200f!"],
    ["Khmer with a break", "ខ្ញុំ\u200bទៅ"],
    ["100 letters of 11 units", "👨\u200d👩\u200d👧\u200d👦".repeat(100)],
    ["letters with accents", "e\u0301".repeat(100)],
  ])("may be %s", (_, name) => {
    expect(spec({ id2label: { 0: name, 1: "b" } }).labelNames[0]).toBe(name);
  });

  it.each([
    ["empty", ""],
    ["of nothing to see", "\u200b\u200d"],
    ["spaces", "  "],
    ["101 letters", "👨\u200d👩\u200d👧\u200d👦".repeat(101)],
    ["one letter of 3000 marks", `a${"\u0301".repeat(3000)}`],
    ["a tab", "a\tb"],
    ["two lines", "a\nb"],
    ["a C1 control", "a\u009b2J"],
    ["a line separator", "a\u2028b"],
    ["an override", "a\u202eb"],
    ["an embedding", "a\u202ab\u202c"],
    ["an isolate", "a\u2067b\u2069"],
    ["half a character", "a\ud800"],
    ["hidden tags", "a\u{e0067}\u{e0062}"],
    ["a byte order mark", "\ufeffa"],
  ])("is not %s", (_, name) => {
    expect(() => spec({ id2label: { 0: name, 1: "b" } })).toThrow("labels are 1 to 100 printable letters");
  });
});

it.each(catalogNames)("configJson gives %s back", (name) => {
  const original = catalogSpec(name, { gelu: "quad", softmax: "2quad:4.5", embedding: "private", answer: "label" });
  expect(specOf(configJson(original))).toEqual(original);
});

describe("specOf a decoder", () => {
  it("fills in Hugging Face's defaults", () => {
    for (const [config, name] of [
      [gpt2, "gpt2"],
      [opt, "opt-125m"],
      [llama, "tinyllama"],
    ] as const) {
      expect(of(config)).toEqual(catalogSpec(name, { embedding: "private" }));
    }
    expect(of({ ...llama, num_key_value_heads: undefined, rms_norm_eps: undefined })).toMatchObject({
      keyHeads: 32,
      epsilon: 1e-6,
    });
  });

  it("reads what differs between checkpoints", () => {
    expect(of({ ...gpt2, n_inner: 100, activation_function: "gelu", layer_norm_epsilon: 1e-6 })).toMatchObject({
      intermediate: 100,
      gelu: "exact",
      epsilon: 1e-6,
    });
    expect(of({ ...opt, do_layer_norm_before: false, activation_function: "gelu" })).toMatchObject({
      blocks: { normPlace: "after", finalNorm: false },
      gelu: "exact",
    });
    expect(of({ ...opt, tie_word_embeddings: false }).tied).toBe(false);
    expect(of({ ...llama, rope_theta: 5e5, rope_scaling: null, tie_word_embeddings: true })).toMatchObject({
      blocks: { rotary: { theta: 5e5 } },
      tied: true,
    });
    expect(
      of({ ...llama, rope_parameters: { rope_theta: 1e6, rope_type: "default" }, head_dim: 64 }).blocks.rotary,
    ).toMatchObject({ theta: 1e6 });
    expect(of({ ...llama, mpcformer: { gelu: "quad", answer: "label" } })).toMatchObject({
      gelu: "quad",
      answer: "label",
    });
  });

  const gemma2 = { ...llama, model_type: "gemma2", num_hidden_layers: 2, hidden_act: null, tie_word_embeddings: true };
  const bloom = { model_type: "bloom", n_layer: 2, hidden_size: 32, n_head: 4, vocab_size: 100 };
  const mpt = { model_type: "mpt", n_layers: 2, d_model: 32, n_heads: 4, vocab_size: 100 };
  const neo = {
    ...{ model_type: "gpt_neo", num_layers: 2, hidden_size: 32, num_heads: 4 },
    ...{ vocab_size: 100, max_position_embeddings: 64 },
  };
  const falcon = {
    ...{ model_type: "falcon", num_hidden_layers: 2, hidden_size: 64 },
    ...{ num_attention_heads: 4, vocab_size: 100 },
  };

  it("reads windows, caps, slopes and scales", () => {
    const { blocks } = of({ ...gemma2, sliding_window: 8, query_pre_attn_scalar: 64 });
    expect(blocks).toMatchObject({
      normPlace: "both",
      window: { size: 8, layers: [0] },
      caps: { scores: 50, logits: 30 },
      scoreScale: 0.125,
    });
    expect(of({ ...gemma2, attn_logit_softcapping: null }).blocks.caps.scores).toBeNull();
    expect(of({ ...bloom, n_head: 4 }).blocks.slopes).toEqual([0.25, 0.0625, 0.015625, 0.00390625]);
    expect(of({ ...neo, window_size: 9 }).blocks).toMatchObject({ window: { size: 9, layers: [1] }, scoreScale: 1 });
    expect(of({ ...mpt, attn_config: { softmax_scale: 0.5 } }).blocks.scoreScale).toBe(0.5);
    const rope = (theta: number) => ({ rope_type: "default", rope_theta: theta });
    const two = { full_attention: rope(1e6), sliding_attention: rope(1e4) };
    const gemma3 = { ...gemma2, model_type: "gemma3_text", rope_theta: null, rope_parameters: two };
    expect(of(gemma3).blocks).toMatchObject({ rotary: { theta: 1e6 }, windowRotary: { theta: 1e4 } });
    expect(of({ ...gemma3, rope_parameters: null }).blocks).toMatchObject({
      rotary: { theta: 1e6 },
      windowRotary: { theta: 1e4 },
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["scores scaled by layer", { ...gpt2, scale_attn_by_inverse_layer_idx: true }, /inverse_layer_idx: must be false/],
    ["reordered attention", { ...gpt2, reorder_and_upcast_attn: true }, /reorder_and_upcast_attn: must be false/],
    ["scores without a scale", { ...gpt2, scale_attn_weights: false }, /scale_attn_weights: must be true/],
    ["heads that do not divide", { ...gpt2, n_head: 5 }, /n_head must divide n_embd/],
    ["another activation", { ...gpt2, activation_function: "SECRET" }, /this activation_function is not supported/],
    ["layers without biases", { ...opt, enable_bias: false }, /enable_bias: must be true/],
    ["plain norms", { ...opt, layer_norm_elementwise_affine: false }, /elementwise_affine: must be true/],
    ["no final norm", { ...opt, _remove_final_layer_norm: true }, /_remove_final_layer_norm: must be false/],
    [
      "scaled rotation",
      { ...llama, rope_scaling: { type: "dynamic", factor: 2 } },
      /rope_scaling.type: must be default/,
    ],
    [
      "newer scaled rotation",
      { ...llama, rope_parameters: { rope_type: "yarn" } },
      /rope_type: must be default, linear or llama3/,
    ],
    [
      "rotation by layers",
      { ...llama, rope_parameters: { full_attention: { rope_type: "default" } } },
      /rope_parameters/,
    ],
    [
      "rotation told twice",
      { ...llama, rope_theta: 1e4, rope_scaling: { rope_theta: 1e6 } },
      /rope_theta is told twice/,
    ],
    ["names that disagree", { ...gpt2, hidden_size: 64 }, /hidden_size and n_embd must agree/],
    ["other layers", { ...gpt2, layer_types: ["sliding_attention"] }, /layer_types.0: must be full_attention/],
    [
      "scaling of a kind that lacks its numbers",
      { ...llama, rope_parameters: { rope_type: "llama3" } },
      /llama3 needs/,
    ],
    ["rotation of half pairs", { ...llama, rope_parameters: { partial_rotary_factor: 0.05 } }, /an even width/],
    ["groups that do not divide", { ...llama, num_key_value_heads: 5 }, /num_key_value_heads must divide/],
    ["heads of an odd width", { ...llama, hidden_size: 96, num_key_value_heads: 32 }, /heads of an even width/],
    ["a table for no machine", { ...llama, hidden_size: 16_384, vocab_size: 2_000_000 }, /more than 2147483648 values/],
    ["a mixture of experts", { ...llama, model_type: "mixtral" }, /"mixtral" is not supported: mixtures of experts/],
    ["two stacks", { model_type: "t5", d_model: 32 }, /"t5" is not supported: models of an encoder and a decoder/],
    [
      "Gemma to later tokens",
      { ...gemma2, use_bidirectional_attention: true },
      /bidirectional_attention: must be false/,
    ],
    ["Gemma's head of its own", { ...gemma2, tie_word_embeddings: false }, /tie_word_embeddings: must be true/],
    [
      "two gates",
      { ...gemma2, model_type: "gemma", hidden_act: "relu", hidden_activation: "gelu" },
      /name two functions/,
    ],
    ["caps that are not used", { ...gemma2, model_type: "gemma3_text", attn_logit_softcapping: 5 }, /must be null/],
    ["Gemma's other gate", { ...gemma2, hidden_activation: "mish" }, /hidden_activation "mish" is not supported/],
    ["a cap below 1", { ...gemma2, attn_logit_softcapping: 0.5 }, /attn_logit_softcapping: must be 1 or more/],
    [
      "a list of other layers",
      { ...gemma2, layer_types: ["full_attention"] },
      /layer_types must have one entry a layer/,
    ],
    ["layers of another kind", { ...gemma2, layer_types: ["chunked_attention"] }, /must be full_attention or sliding/],
    ["norms of a head's own", { ...llama, model_type: "stablelm", qk_layernorm: true }, /qk_layernorm: must be false/],
    [
      "a stream of norms",
      { ...bloom, apply_residual_connection_post_layernorm: true },
      /post_layernorm: must be false/,
    ],
    ["widths that disagree", { ...bloom, n_embed: 64 }, /n_embed and hidden_size must agree/],
    ["positions without slopes", { ...mpt, attn_config: { alibi: false } }, /alibi: must be true/],
    ["clipped queries", { ...mpt, attn_config: { clip_qkv: 8 } }, /clip_qkv: must be null/],
    ["a scale of logits", { ...mpt, logit_scale: 0.5 }, /logit_scale: must be null/],
    ["local layers that are not all", { ...neo, attention_types: [[["local"], 1]] }, /one kind a layer/],
    ["blocks of attention", { ...neo, attention_types: [[["sparse"], 2]] }, /must be global or local/],
    ["rounded slopes", { ...falcon, alibi: true, num_attention_heads: 16 }, /rounded to bfloat16/],
    ["groups behind one norm", { ...falcon, new_decoder_architecture: true, num_ln_in_parallel_attn: 1 }, /must be 2/],
    ["another gate", { ...llama, hidden_act: "SECRET" }, /hidden_act: must be silu/],
    ["a stand-in of another kind", { ...llama, mpcformer: { gelu: "relu" } }, /unknown silu "relu": use one of exact/],
    ["no layers", { ...opt, num_hidden_layers: undefined }, /num_hidden_layers: the field is missing/],
  ])("refuses %s", (_, config, message) => {
    expect(() => of(config)).toThrow(message);
    expect(() => of(config)).not.toThrow(/SECRET|\n/);
  });
});

const whole = (min: number, max: number) => fc.integer({ min, max });
const decoders = fc
  .record({
    architecture: fc.constantFrom("gpt2", "opt", "llama"),
    sizes: fc.record({ layers: whole(1, 128), intermediate: whole(1, 65_536), vocabulary: whole(1, 2_000_000) }),
    heads: fc.tuple(whole(1, 16), whole(1, 16), whole(1, 32)),
    positions: whole(1, 1_000_000),
    epsilon: fc.double({ min: 1e-15, max: 0.1, noNaN: true }),
    theta: fc.double({ min: 1, max: 1e12, noNaN: true }),
    flags: fc.record({ normFirst: fc.boolean(), tied: fc.boolean() }),
    gelu: fc.constantFrom("exact", "quad", "tanh", "relu"),
    softmax: fc.constantFrom("exact", "2quad:4.5", "2relu:0.01", "2linear"),
    embedding: fc.constantFrom("public", "private"),
    answer: fc.constantFrom("scores", "label"),
  })
  .map(({ architecture, sizes, heads: [keys, group, half], ...some }): ModelSpec => {
    const [llama, opt] = [architecture === "llama", architecture === "opt"];
    const own = baseOf(architecture).blocks;
    const after = opt && !some.flags.normFirst ? ({ normPlace: "after", finalNorm: false } as const) : {};
    const blocks = {
      blocks: {
        ...own,
        rotary: llama ? { theta: some.theta, width: null, scaling: null, without: [] } : null,
        ...after,
      },
    };
    const gelu = llama && !["exact", "quad"].includes(some.gelu) ? "exact" : some.gelu;
    return {
      ...{
        ...baseOf(architecture),
        ...blocks,
        ...sizes,
        types: 1,
        labels: sizes.vocabulary,
        problem: "generation",
        labelNames: [],
      },
      ...{ heads: keys * group, keyHeads: llama ? keys : keys * group, hidden: keys * group * half * 2, gelu },
      ...{ positions: some.positions + (opt ? 2 : 0), positionOffset: opt ? 2 : 0, epsilon: opt ? 1e-5 : some.epsilon },
      ...{ headWidth: half * 2, tied: some.flags.tied },
      ...{ softmax: some.softmax, embedding: some.embedding, answer: some.answer },
    };
  })
  .filter(({ hidden, vocabulary, positions }) => hidden * Math.max(vocabulary, positions) <= 2 ** 31);

it("configJson gives every decoder's spec back", () => {
  const same = fc.property(decoders, (spec) => {
    expect(specOf(configJson(spec))).toEqual(spec);
  });
  fc.assert(same);
});
