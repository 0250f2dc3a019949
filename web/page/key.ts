/** This browser's own key, by which a server knows who asks: made once, and kept in the browser's database. */
import { SigningKey } from "../../src/channels/signing.ts";

const [DATABASE, TABLE, NAME] = ["mpcformer", "keys", "own"];

/** The kept one; a fresh one where nothing may be kept (private windows). */
export async function ownKey(): Promise<SigningKey> {
  try {
    const database = await settled(opening());
    const table = (mode: IDBTransactionMode) => database.transaction(TABLE, mode).objectStore(TABLE);
    const kept: unknown = await settled(table("readonly").get(NAME));
    if (kept instanceof Uint8Array) return new SigningKey(kept);
    const fresh = SigningKey.create();
    // Not over one that another tab has made meanwhile.
    await settled(table("readwrite").add(fresh.secretSeed(), NAME));
    return fresh;
  } catch {
    return SigningKey.create();
  }
}

function opening(): IDBOpenDBRequest {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
  return request;
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
