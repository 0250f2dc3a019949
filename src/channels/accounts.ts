/**
 * By whom connections are counted. A key that an operator has listed is somebody; other keys anybody makes as he likes, so that who has
 * one of those, or none, is counted with all that comes from his address.
 */

/** Whether an account is a key, and of whom. */
export interface Counted {
  /** Each key is counted by itself: right where only those connect that an operator has listed. */
  readonly listed?: boolean;
}

/** The account of a connection; `peer`: the fingerprint of its key, empty without one. */
export function accountOf({ listed }: Counted, peer: string, address: string | undefined): string {
  return listed && peer !== "" ? peer : sourceOf(address);
}

/** Where a connection comes from, as one that pays for all of its own addresses: of IPv6 the first 64 bits, which are one network. */
export function sourceOf(address?: string): string {
  if (address === undefined) return "unknown";
  const mapped = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1];
  const [front, back] = address.split("%")[0].split("::");
  if (back === undefined) return `${front.split(":").slice(0, 4).join(":")}::/64`;
  const groups = front === "" ? [] : front.split(":");
  const behind = back === "" ? [] : back.split(":");
  while (groups.length + behind.length < 8) groups.push("0");
  return `${[...groups, ...behind].slice(0, 4).join(":")}::/64`;
}
