/** Addresses as people write them. */
import { UsageError } from "./failure.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** As people write it. */
export function shownAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** "host:port" or ":port" or "port". @throws UsageError */
export function parseAddress(text: string): Address {
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new UsageError(`"${text}" is no address: write host:port`);
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  return { host: host === "" ? "127.0.0.1" : host, port };
}
