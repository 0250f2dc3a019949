/** Errors as clients of OpenAI's API read them. */
import { ChannelError } from "../channels/channel.ts";
import { AbortError } from "../parties/abort.ts";
import { VoidAnswerError } from "../parties/findings.ts";
import { PartyError } from "../parties/messages.ts";

/** Their kinds, by what a client is to do: repair its request, show a key, wait, or tell somebody. */
export type ApiErrorType = "invalid_request_error" | "authentication_error" | "rate_limit_error" | "server_error";

export interface ApiErrorOptions extends ErrorOptions {
  /** Of HTTP. */
  readonly status: number;
  readonly type?: ApiErrorType;
  /** A word for machines. */
  readonly code?: string;
  /** The field of the request that is wrong. */
  readonly param?: string;
}

/** What is answered instead of a completion. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";
  readonly status: number;
  readonly type: ApiErrorType;
  readonly code: string | null;
  readonly param: string | null;

  constructor(message: string, options: ApiErrorOptions) {
    const { status, type = "invalid_request_error", code, param, cause } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.type = type;
    this.code = code ?? null;
    this.param = param ?? null;
  }

  /** The body that is sent. */
  get body(): { error: { message: string; type: ApiErrorType; param: string | null; code: string | null } } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

/**
 * Any error as one of these. Clients ask again by themselves after 408, 409, 429 and every 5xx: a void answer is none of those, since a
 * server that chooses its plan would see from the second request that the first one's answer was void.
 */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const cause = error;
  if (error instanceof VoidAnswerError)
    return new ApiError(error.message, { status: 422, type: "server_error", code: "void_answer", cause });
  if (error instanceof AbortError) return new ApiError(error.message, { status: 499, code: "aborted", cause });
  if (error instanceof ChannelError || error instanceof PartyError)
    return new ApiError(error.message, { status: 503, type: "server_error", code: "service_unavailable", cause });
  return new ApiError("the gateway has a fault: see its messages", { status: 500, type: "server_error", cause });
}
