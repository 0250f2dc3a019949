/** This browser's own key, by which a server knows who asks: made once, and kept in the browser's database. */
import { SigningKey } from "../../src/channels/signing.ts";

const [DATABASE, TABLE, NAME] = ["mpcformer", "keys", "own"];

/** The kept one; a fresh one where nothing may be kept (private windows). */
export async function ownKey(): Promise<SigningKey> {
  try {
    const database = await settled(opening());
    return (await kept(database)) ?? (await made(database));
  } catch {
    return SigningKey.create();
  }
}

async function kept(database: IDBDatabase): Promise<SigningKey | null> {
  const seed: unknown = await settled(database.transaction(TABLE).objectStore(TABLE).get(NAME));
  return seed instanceof Uint8Array ? new SigningKey(seed) : null;
}

/** Another tab may have made one meanwhile: then it is that. */
async function made(database: IDBDatabase): Promise<SigningKey> {
  const fresh = SigningKey.create();
  const transaction = database.transaction(TABLE, "readwrite");
  transaction.objectStore(TABLE).add(fresh.secretSeed(), NAME);
  const stays = await new Promise<boolean>((resolve) => {
    transaction.oncomplete = () => resolve(true);
    transaction.onabort = () => resolve(false);
  });
  return stays ? fresh : ((await kept(database)) ?? fresh);
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
