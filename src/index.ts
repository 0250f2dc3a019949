/**
 * mpcformer: private Transformer inference.
 *
 * The library's doors: a client that asks, the services that answer and deal, and `simulate`, which runs all three in one
 * process. The command line in cli/ is written on these alone.
 */
export { type Approximation, type ApproximationKind, register } from "./approximations/registry.ts";
export { Channel, ChannelError } from "./channels/channel.ts";
export { memoryPair } from "./channels/memory.ts";
export { connectTcp, listenTcp, type TcpListener, type TcpOptions } from "./channels/tcp.ts";
export { classifier } from "./models/bert.ts";
export { type CalibrateOptions, calibrate, compile } from "./models/calibrate.ts";
export { loadModel, type Model, type SaveOptions, saveModel } from "./models/checkpoint.ts";
export type { SpecOverrides } from "./models/config.ts";
export type { TextTokenizer, TokenizerFiles } from "./models/tokenizer.ts";
export { type BatchInference, Client, type ClientOptions, type Inference, type Run } from "./parties/client.ts";
export { type DealerOptions, DealerService } from "./parties/dealer.ts";
export { FileStore } from "./parties/file-store.ts";
export type { Generated, GenerateOptions } from "./parties/generation.ts";
export { Meeting } from "./parties/meeting.ts";
export { RedisStore } from "./parties/redis-store.ts";
export { type PlannedModel, simulateText, type TextSimulation } from "./parties/rehearse.ts";
export { type ServedModel, type ServerOptions, ServerService } from "./parties/server.ts";
export { type Simulation, type SimulationInputs, simulate } from "./parties/simulate.ts";
export type { Item, MaterialStore } from "./parties/store.ts";
export { FloatOps, type FloatOptions, type FloatTensor } from "./program/float.ts";
export type { EmbeddingRef, Heads, LinearRef, NormRef, Ops, Rotary, SmoothName } from "./program/ops.ts";
export type { Plan } from "./program/plan.ts";
export type { ModelSpec, TokenizedText, Weights } from "./program/spec.ts";
export { type Cost, costOf } from "./protocols/cost.ts";
export { Ring } from "./ring/ring.ts";
