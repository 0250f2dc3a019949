/** Where the parties are: where `mpcformer serve` and `mpcformer deal` listen, unless SERVER and DEALER say otherwise. */
export const parties = {
  server: { url: process.env.SERVER ?? "tcp://127.0.0.1:7700" },
  dealer: { url: process.env.DEALER ?? "tcp://127.0.0.1:7701" },
};
