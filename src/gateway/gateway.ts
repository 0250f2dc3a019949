/** A gateway: OpenAI's API over HTTP on the user's own machine, answered by an MPC client. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Client } from "../parties/client.ts";
import { type GenerateOptions, sampler } from "../parties/generation.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import { conversation } from "./chat.ts";
import { ApiError, apiErrorOf } from "./errors.ts";
import { chatForm, completionForm, type Form, usageOf } from "./forms.ts";
import { checkHost, checkKey, EventStream, goneSignal, jsonOf, sendJson } from "./http.ts";
import { type Peer, privacyOf } from "./privacy.ts";
import { type Asked, chatRequest, completionRequest } from "./requests.ts";
import { Upstream } from "./upstream.ts";

export interface GatewayOptions {
  /** A new client; of the model with that id, where one is given. */
  readonly connect: (model?: string) => Promise<Client>;
  /** By which name clients ask for the model. */
  readonly name: string;
  /** New tokens of one request, at most. */
  readonly maxTokens: number;
  /** The padded length of every prompt; each prompt's own unless given. */
  readonly length?: number;
  /** Every request makes `maxTokens`, wherever its text ends. */
  readonly fixed?: boolean;
  /** Names by which the gateway is reached, beside this machine's own. */
  readonly hosts?: readonly string[];
  /** Whoever asks shows one of these; everybody may without. */
  readonly keys?: readonly string[];
  readonly peers: Readonly<Record<"server" | "dealer", Peer>>;
  /** Hears of what went wrong here, without a word of a request. */
  readonly failed?: (error: unknown) => void;
}

/** A text to continue, and how. */
interface Continuation {
  readonly text: TokenizedText;
  readonly options: GenerateOptions;
}

export class Gateway {
  private readonly options: GatewayOptions;
  private readonly upstream: Upstream;
  private readonly created = Math.floor(Date.now() / 1000);

  constructor(options: GatewayOptions) {
    this.options = options;
    this.upstream = new Upstream(options.connect);
  }

  /** Connects now, so that what cannot be reached is told at once. @throws ChannelError, PartyError; ApiError for a model that continues no texts */
  async open(): Promise<void> {
    checkModel(await this.upstream.client());
  }

  /** Answers one request. Never throws: what is wrong is answered. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      checkHost(request, this.options.hosts ?? []);
      checkKey(request, this.options.keys ?? []);
      await this.route(request, response);
    } catch (error) {
      const told = apiErrorOf(error);
      if (told.status === 500) this.options.failed?.(error);
      if (response.headersSent) response.end(`data: ${JSON.stringify(told.body)}\n\n`);
      else sendJson(response, told.status, told.body);
    }
  }

  close(): Promise<void> {
    return this.upstream.close();
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = `${request.method} ${request.url?.split("?", 1)[0]}`;
    if (route === "GET /v1/models") return sendJson(response, 200, { object: "list", data: [this.model] });
    if (route === `GET /v1/models/${encodeURIComponent(this.options.name)}`) return sendJson(response, 200, this.model);
    if (route === "GET /privacy") {
      const { model } = await this.upstream.client();
      return sendJson(response, 200, privacyOf(model, this.options));
    }
    if (route === "POST /v1/completions") {
      const asked = completionRequest(await jsonOf(request));
      return this.answer(asked, (client) => client.encode(asked.prompt), completionForm(asked.model), response);
    }
    if (route === "POST /v1/chat/completions") {
      const asked = chatRequest(await jsonOf(request));
      const textOf = (client: Client) => conversation(client.tokenizer!, asked.messages);
      return this.answer(asked, textOf, chatForm(asked.model), response);
    }
    throw new ApiError(
      "there is no such address here: see /v1/models, /v1/completions, /v1/chat/completions, /privacy",
      {
        status: 404,
        code: "unknown_url",
      },
    );
  }

  private get model(): object {
    return { id: this.options.name, object: "model", created: this.created, owned_by: "mpcformer" };
  }

  private async answer(
    asked: Asked,
    textOf: (client: Client) => TokenizedText,
    form: Form,
    response: ServerResponse,
  ): Promise<void> {
    if (asked.model !== this.options.name)
      throw new ApiError(`there is no model of that name here: this is ${this.options.name}`, {
        status: 404,
        code: "model_not_found",
        param: "model",
      });
    const signal = goneSignal(response);
    await this.upstream.use(
      async (client) => {
        const { text, options } = this.continuation(client, asked, textOf);
        await answered(client, { text, options: { ...options, signal } }, asked, form, response);
      },
      () => !response.headersSent,
    );
  }

  /** What a request asks of the client. @throws ApiError for what cannot be done, before anything is sent. */
  private continuation(client: Client, asked: Asked, textOf: (client: Client) => TokenizedText): Continuation {
    checkModel(client);
    const { maxTokens: most, length, fixed } = this.options;
    const maxTokens = asked.maxTokens ?? most;
    if (maxTokens > most)
      throw new ApiError(`this gateway gives up to ${most} new tokens`, {
        status: 400,
        param: "max_tokens",
        code: "invalid_value",
      });
    const options = { ...asked.choice, maxTokens, length, turns: fixed ? most : undefined };
    try {
      sampler(client.spec, options);
    } catch (cause) {
      throw new ApiError((cause as Error).message, { status: 400, code: "unsupported_value", cause });
    }
    try {
      const text = textOf(client);
      client.generationShape(text.ids.length, options);
      return { text, options };
    } catch (cause) {
      if (cause instanceof ApiError) throw cause;
      throw new ApiError((cause as Error).message, {
        status: 400,
        code: "context_length_exceeded",
        param: "prompt",
        cause,
      });
    }
  }
}

function checkModel({ spec, tokenizer }: Client): void {
  if (!isDecoder(spec)) throw new ApiError("the server's model judges texts: it continues none", { status: 501 });
  if (tokenizer === null) throw new ApiError("the server has no tokenizer: it takes token ids only", { status: 501 });
}

/** Runs a continuation, and answers with it as a whole or as it comes. */
async function answered(
  client: Client,
  { text, options }: Continuation,
  { stream, includeUsage }: Asked,
  form: Form,
  response: ServerResponse,
): Promise<void> {
  const events = stream ? new EventStream(response) : null;
  const pieces = client.generate(text, options);
  let step = await pieces.next();
  const first = form.first();
  if (first !== null) events?.send(first);
  for (; step.done !== true; step = await pieces.next())
    if (step.value.text !== "") events?.send(form.piece(step.value.text));
  const usage = usageOf(text.ids.length, step.value);
  const { text: all, ended } = step.value;
  if (events === null) return sendJson(response, 200, form.whole(all, ended, usage));
  events.send(form.last(ended));
  if (includeUsage) events.send(form.used(usage));
  events.end();
}
