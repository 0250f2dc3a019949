/**
 * mpcformer: private Transformer inference.
 *
 * The library's doors: a client that asks, the services that answer and deal, and `simulate`, which runs all three in one
 * process. The command line in cli/ is written on these alone.
 */
import { Identity } from "./channels/identity.ts";
import { connectTcp } from "./channels/tcp.ts";
import { connectWeb } from "./channels/websocket.ts";
import type { Client } from "./parties/client.ts";
import { type ConnectOptions, connectBy, type Dial } from "./parties/connect.ts";

export type { Entity, TokenLabel } from "./answers/entities.ts";
export type { FilledMask } from "./answers/filled.ts";
export type { AnswerSpan } from "./answers/question.ts";
export type { ZeroShot } from "./answers/zero-shot.ts";
export type { Approximation, ApproximationKind } from "./approximations/approximation.ts";
export { register } from "./approximations/registry.ts";
export { Channel, ChannelError } from "./channels/channel.ts";
export { Identity } from "./channels/identity.ts";
export { memoryPair } from "./channels/memory.ts";
export { SigningKey } from "./channels/signing.ts";
export { connectTcp, listenTcp, type TcpListener, type TcpOptions } from "./channels/tcp.ts";
export { listenWeb, type WebListener } from "./channels/web-listener.ts";
export { connectWeb, type WebOptions } from "./channels/websocket.ts";
export { type CalibrateOptions, calibrate } from "./compiler/calibrate.ts";
export { compile } from "./compiler/compile.ts";
export { loadModel, type Model, type SaveOptions, saveModel } from "./models/checkpoint.ts";
export type { SpecOverrides } from "./models/config.ts";
export { logitsOf as classifier } from "./models/model.ts";
export type { TextTokenizer, TokenizerFiles } from "./models/tokenizer.ts";
export { AbortError } from "./parties/abort.ts";
export { type Answer, type Asked, type Candidate, type Reading, reading } from "./parties/answer.ts";
export { Client, type ClientOptions } from "./parties/client.ts";
export type { ConnectOptions, PartyAddress, ServerAddress } from "./parties/connect.ts";
export type { CallOptions } from "./parties/connection.ts";
export { ContinuedText } from "./parties/continued-text.ts";
export type { Conversation, ConverseOptions, Reply } from "./parties/conversation.ts";
export { type DealerOptions, DealerService } from "./parties/dealer.ts";
export type { Generated, GeneratedPiece, GenerateOptions } from "./parties/generation.ts";
export type { ServedModel } from "./parties/held-model.ts";
export { type HelperOptions, HelperService } from "./parties/helper.ts";
export type { Logprobs, TokenLogprob } from "./parties/logprobs.ts";
export { Meeting } from "./parties/meeting.ts";
export { PartyError } from "./parties/messages.ts";
export {
  type ClassificationOptions,
  type ExtractionOptions,
  type FeatureExtractionPipeline,
  type FillMaskOptions,
  type FillMaskPipeline,
  type GeneratedText,
  type LabelScore,
  type PipelineOptions,
  type PipelineService,
  type Pipelines,
  type PipelineTask,
  pipeline,
  type QuestionAnsweringPipeline,
  type QuestionOptions,
  type TextClassificationPipeline,
  type TextGenerationOptions,
  type TextGenerationPipeline,
  type TokenClassificationPipeline,
  type TokenOptions,
  type VectorTensor,
  type ZeroShotOptions,
  type ZeroShotPipeline,
  type ZeroShotResult,
} from "./parties/pipeline.ts";
export { readProfile, type ServiceProfile } from "./parties/profile.ts";
export { type PlannedModel, simulateText, type TextSimulation } from "./parties/rehearse.ts";
export type { BatchInference, Inference, Run } from "./parties/run.ts";
export { servedModel } from "./parties/served.ts";
export { type ServerOptions, ServerService } from "./parties/server.ts";
export { type Simulation, type SimulationInputs, simulate } from "./parties/simulate.ts";
export { type ClassifyOptions, TextClient, type TextOrPair } from "./parties/text-client.ts";
export { type ThinAnswer, ThinClient, type ThinRun } from "./parties/thin.ts";
export { imageInput } from "./program/images.ts";
export type { EmbeddingRef, Heads, LinearRef, NormRef, Ops, Rotary, SmoothName } from "./program/ops.ts";
export type { Plan } from "./program/plan.ts";
export type { ModelSpec, Patches, TokenizedText, Weights } from "./program/spec.ts";
export { type Cost, costOf } from "./protocols/cost.ts";
export { FloatOps, type FloatOptions } from "./reference/float.ts";
export type { FloatTensor } from "./reference/tensor.ts";
export { Ring } from "./ring/ring.ts";
export { Secret } from "./ring/secret.ts";
export { FileStore } from "./stores/file-store.ts";
export { RedisStore } from "./stores/redis-store.ts";
export type { Item, MaterialStore } from "./stores/store.ts";

export interface NodeConnectOptions extends ConnectOptions {
  /** By which parties know this client; a fresh one unless given. */
  readonly own?: Identity;
}

/**
 * A client of the parties at these addresses: ws: or wss: as for browsers, or tcp:, which is TLS 1.3 where the party's key is named and
 * plain where it is not (loopback and tunnels). Name both parties' keys or neither's.
 * @throws TypeError that says which option is wrong. @throws ChannelError when a party cannot be reached or has another key.
 */
export function connect(options: NodeConnectOptions): Promise<Client> {
  const own = options?.own ?? Identity.create();
  const dial: Dial = ({ url, key }, peer, deadlineMs) => {
    const { protocol, hostname, port } = new URL(url);
    const trusts = (one: string) => one === key;
    if (protocol !== "tcp:") return connectWeb(url, { peer, deadlineMs, security: { key: own.signingKey(), trusts } });
    const security = key === undefined ? undefined : { identity: own, trusts };
    return connectTcp(hostname.replace(/^\[(.*)\]$/, "$1"), Number(port), { peer, deadlineMs, security });
  };
  return connectBy(dial, ["tcp:", "ws:", "wss:"], options);
}
