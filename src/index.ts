/**
 * mpcformer: private Transformer inference.
 *
 * The library's doors: a client that asks, the services that answer and deal, and `simulate`, which runs all three in one
 * process. The command line in cli/ is written on these alone.
 */
export { register } from "./approximations/registry.ts";
export { Channel, ChannelError } from "./channels/channel.ts";
export { memoryPair } from "./channels/memory.ts";
export { connectTcp, listenTcp } from "./channels/tcp.ts";
export { classifier } from "./models/bert.ts";
export { calibrate, compile } from "./models/calibrate.ts";
export { loadModel, saveModel } from "./models/checkpoint.ts";
export { Client, type Inference } from "./parties/client.ts";
export { DealerService } from "./parties/dealer.ts";
export { FileStore } from "./parties/file-store.ts";
export { Meeting } from "./parties/meeting.ts";
export { RedisStore } from "./parties/redis-store.ts";
export { type PlannedModel, simulateText, type TextSimulation } from "./parties/rehearse.ts";
export { ServerService } from "./parties/server.ts";
export { simulate } from "./parties/simulate.ts";
export type { MaterialStore } from "./parties/store.ts";
export { FloatOps } from "./program/float.ts";
export type { Ops } from "./program/ops.ts";
export type { Plan } from "./program/plan.ts";
export type { ModelSpec, TokenizedText, Weights } from "./program/spec.ts";
export { costOf } from "./protocols/cost.ts";
export { Ring } from "./ring/ring.ts";
