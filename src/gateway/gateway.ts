/** A gateway: OpenAI's API over HTTP on the user's own machine, answered by an MPC client. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Client } from "../parties/client.ts";
import type { TokenizedText } from "../program/spec.ts";
import { conversation, gapText } from "./chat.ts";
import { answered, type Bounds, continuationOf } from "./continuations.ts";
import { embeddingsRequest, embedRequest } from "./embeddings.ts";
import { ApiError, apiErrorOf } from "./errors.ts";
import { chatForm, completionForm, type Form } from "./forms.ts";
import { accountOf, checkHost, checkKey, goneSignal, jsonOf, sendJson } from "./http.ts";
import { type Judgement, predictRequest, rerankRequest } from "./judgements.ts";
import { type Peer, privacyOf } from "./privacy.ts";
import { type Asked, chatRequest, completionRequest } from "./requests.ts";
import { type Turn, Upstream } from "./upstream.ts";

export interface GatewayOptions extends Bounds {
  /** A new client; of the model with that id, where one is given. */
  readonly connect: (model?: string) => Promise<Client>;
  /** By which name clients ask for the model. */
  readonly name: string;
  /** Names by which the gateway is reached, beside this machine's own. */
  readonly hosts?: readonly string[];
  /** Whoever asks shows one of these; everybody may without. */
  readonly keys?: readonly string[];
  readonly peers: Readonly<Record<"server" | "dealer", Peer>>;
  /** Hears of what went wrong here, without a word of a request. */
  readonly failed?: (error: unknown) => void;
}

/** Addresses of text-embeddings-inference, with what reads their requests. */
const JUDGEMENTS: Readonly<Record<string, (body: unknown) => Judgement>> = {
  "POST /embed": embedRequest,
  "POST /predict": predictRequest,
  "POST /rerank": rerankRequest,
};

export class Gateway {
  private readonly options: GatewayOptions;
  private readonly upstream: Upstream;
  private readonly created = Math.floor(Date.now() / 1000);

  constructor(options: GatewayOptions) {
    this.options = options;
    this.upstream = new Upstream(options.connect);
  }

  /** Connects now, so that what cannot be reached is told at once. @throws ChannelError, PartyError; ApiError for a model without a tokenizer */
  async open(): Promise<void> {
    checkTokenizer(await this.upstream.client());
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
    const turn = turnOf(request, response);
    if (route === "POST /v1/completions") {
      const asked = completionRequest(await jsonOf(request));
      const { prompt, suffix } = asked;
      const textOf = (client: Client) => (suffix === "" ? client.encode(prompt) : gapText(client, prompt, suffix));
      return this.answer(asked, textOf, completionForm(asked.model), turn, response);
    }
    if (route === "POST /v1/chat/completions") {
      const asked = chatRequest(await jsonOf(request));
      const textOf = (client: Client) => conversation(client.tokenizer!, asked.messages);
      return this.answer(asked, textOf, chatForm(asked.model), turn, response);
    }
    if (route === "POST /v1/embeddings") {
      const { model, judgement } = embeddingsRequest(await jsonOf(request));
      this.checkName(model);
      return this.judge(judgement, turn, response);
    }
    if (Object.hasOwn(JUDGEMENTS, route)) return this.judge(JUDGEMENTS[route](await jsonOf(request)), turn, response);
    throw new ApiError(
      "there is no such address here: see /v1/models, /v1/completions, /v1/chat/completions, /v1/embeddings, /embed, /predict, /rerank, /privacy",
      { status: 404, code: "unknown_url" },
    );
  }

  private get model(): object {
    return { id: this.options.name, object: "model", created: this.created, owned_by: "mpcformer" };
  }

  private async answer(
    asked: Asked,
    textOf: (client: Client) => TokenizedText,
    form: Form,
    turn: Turn,
    response: ServerResponse,
  ): Promise<void> {
    this.checkName(asked.model);
    await this.upstream.use(turn, async (client) => {
      checkTokenizer(client);
      const { text, options } = continuationOf(client, asked, this.options, textOf);
      await answered(client, { text, options: { ...options, signal: turn.signal } }, asked, form, response);
    });
  }

  private async judge(judgement: Judgement, turn: Turn, response: ServerResponse): Promise<void> {
    await this.upstream.use(turn, async (client) => {
      checkTokenizer(client);
      sendJson(response, 200, await judgement(client, { length: this.options.length, signal: turn.signal }));
    });
  }

  /** @throws ApiError for another model's name. */
  private checkName(model: string): void {
    if (model !== this.options.name)
      throw new ApiError(`there is no model of that name here: this is ${this.options.name}`, {
        status: 404,
        code: "model_not_found",
        param: "model",
      });
  }
}

function turnOf(request: IncomingMessage, response: ServerResponse): Turn {
  const isUntouched = () => !response.headersSent;
  return { account: accountOf(request), signal: goneSignal(response), isUntouched };
}

function checkTokenizer({ tokenizer }: Client): void {
  if (tokenizer === null) throw new ApiError("the server has no tokenizer: it takes token ids only", { status: 501 });
}
