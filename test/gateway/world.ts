/** A gateway to services in this process, and plain requests to it. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Gateway, type GatewayOptions } from "../../src/gateway/gateway.ts";
import type { World, WorldOptions } from "../parties/world.ts";

export const MODEL = "tiny";

/** Services of a world, and a gateway to them. */
export async function gatewayTo(here: World, world: WorldOptions = {}, options: Partial<GatewayOptions> = {}) {
  const w = await here.services(world);
  let connections = 0;
  const connect = (model?: string) => {
    connections++;
    return w.connect(false, undefined, model);
  };
  const peers = { server: { address: "here:1", key: null }, dealer: { address: "there:2", key: "ab" } };
  const gateway = new Gateway({ connect, name: MODEL, maxTokens: 8, peers, ...options });
  const server = createServer((asked, response) => void gateway.handle(asked, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await gateway.close();
  };
  return { ...w, gateway, port, close, connections: () => connections };
}

export interface PlainOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A request as it is written, and its answer. */
export function plain<B>(port: number, options: PlainOptions): Promise<{ status: number; body: B }> {
  const { path = "/v1/completions", method = "POST", headers = { "content-type": "application/json" }, body } = options;
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers }, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      resolve({ status: response.statusCode!, body: JSON.parse(Buffer.concat(parts).toString()) });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
