/** Whose keys this page trusts, and this browser's own, which an operator may have to allow. */
import { useState } from "preact/hooks";
import type { PinnedAddress, PinnedParties } from "../../src/parties/connect.ts";
import { shortKey } from "./words.ts";

export function Keys({ parties, own }: { parties: PinnedParties; own: string | null }) {
  return (
    <section id="keys" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <p>
        This page speaks to these alone, and only if they prove that they have these keys. To be sure that it is the
        right page, compare the keys with what the operators tell you.
      </p>
      <dl class="keys">
        <Party name="Server" party={parties.server} />
        {parties.server.model && <ModelId id={parties.server.model} />}
        <Party name="Dealer" party={parties.dealer} />
        {parties.helper && <Party name="Helper" party={parties.helper} />}
        <div>
          <dt>This browser</dt>
          <dd>
            {own === null ? "–" : <Digits what="This browser, key" digits={own} />}
            {own !== null && <Copy text={own} />}
            <span class="quiet">An operator who has a list of clients puts this key on it.</span>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Party({ name, party }: { name: string; party: PinnedAddress }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Digits what={`${name}, key`} digits={party.key} />
        <span class="quiet url">{party.url}</span>
      </dd>
    </div>
  );
}

/** Of the model that this page asks, and no other. */
function ModelId({ id }: { id: string }) {
  return (
    <div>
      <dt>Model</dt>
      <dd>
        <Digits what="Model, id" digits={id} />
        <span class="quiet">A server that serves another model is refused.</span>
      </dd>
    </div>
  );
}

/** A key's fingerprint or a model's id: in short, and whole when opened. */
function Digits({ what, digits }: { what: string; digits: string }) {
  return (
    <details class="key">
      <summary>
        <span class="unseen">{what} </span>
        <code>{shortKey(digits)}</code>
      </summary>
      <code class="whole">{digits}</code>
    </details>
  );
}

function Copy({ text }: { text: string }) {
  const [state, setState] = useState("");
  const copy = () => {
    navigator.clipboard.writeText(text).then(
      () => setState("copied"),
      () => setState("not allowed here: open the key and copy it by hand"),
    );
  };
  return (
    <>
      <button type="button" onClick={copy}>
        Copy this browser's key
      </button>
      <span role="status" class="quiet">
        {state}
      </span>
    </>
  );
}
