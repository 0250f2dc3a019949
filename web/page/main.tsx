/** The page: what is asked, what is answered, and who saw what. */
import { render } from "preact";
import type { PinnedAddress, PinnedParties } from "../../src/parties/connect.ts";
import { App } from "./app.tsx";
import "./colors.css";
import "./page.css";
import "./asking.css";
import "./results.css";
import "./talk.css";

const given = JSON.parse(document.getElementById("parties")!.textContent!) as PinnedParties | null;
/** An address may be a path of the page's own host. */
const absolute = <A extends PinnedAddress>(party: A): A => ({
  ...party,
  url: new URL(party.url, document.baseURI).href,
});
const parties = given && {
  server: absolute(given.server),
  dealer: absolute(given.dealer),
  helper: given.helper && absolute(given.helper),
};
render(<App parties={parties} />, document.body);
