/**
 * mpcformer in a browser, or wherever there is no Node: the client alone, over WebSocket. Bundlers take this module for
 * `import ... from "mpcformer"` by package.json's condition "browser".
 */
import { SigningKey } from "./channels/signing.ts";
import { connectWeb } from "./channels/websocket.ts";
import type { Client } from "./parties/client.ts";
import { type ConnectOptions, connectBy, type Dial } from "./parties/connect.ts";

export type { Entity, TokenLabel } from "./answers/entities.ts";
export type { FilledMask } from "./answers/filled.ts";
export type { AnswerSpan } from "./answers/question.ts";
export type { ZeroShot } from "./answers/zero-shot.ts";
export { ChannelError } from "./channels/channel.ts";
export { SigningKey } from "./channels/signing.ts";
export { connectWeb } from "./channels/websocket.ts";
export { AbortError } from "./parties/abort.ts";
export { type Answer, type Asked, type Candidate, type Reading, reading } from "./parties/answer.ts";
export { Client, type ClientOptions } from "./parties/client.ts";
export type { ConnectOptions, PartyAddress, ServerAddress } from "./parties/connect.ts";
export type { CallOptions } from "./parties/connection.ts";
export { ContinuedText } from "./parties/continued-text.ts";
export type { Conversation, ConverseOptions, Reply } from "./parties/conversation.ts";
export type { Generated, GeneratedPiece, GenerateOptions } from "./parties/generation.ts";
export type { Logprobs, TokenLogprob } from "./parties/logprobs.ts";
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
export type { Inference, Run } from "./parties/run.ts";
export { type ClassifyOptions, TextClient, type TextOrPair } from "./parties/text-client.ts";
export { type ThinAnswer, ThinClient, type ThinRun } from "./parties/thin.ts";
export type { ModelSpec, TokenizedText } from "./program/spec.ts";
export { Ring } from "./ring/ring.ts";

export interface WebConnectOptions extends ConnectOptions {
  /** By which parties know this client; a fresh one unless given. */
  readonly own?: SigningKey;
}

/**
 * A client of the parties at these ws: or wss: addresses, whose keys must have these fingerprints.
 * @throws TypeError that says which option is wrong. @throws ChannelError when a party cannot be reached or has another key.
 */
export function connect(options: WebConnectOptions): Promise<Client> {
  const own = options?.own ?? SigningKey.create();
  const dial: Dial = ({ url, key }, peer, deadlineMs) =>
    connectWeb(url, { peer, deadlineMs, security: { key: own, trusts: (one) => one === key } });
  return connectBy(dial, ["wss:", "ws:"], options);
}
