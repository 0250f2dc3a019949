/** The console: what a provider's service is doing. */
import { render } from "preact";

render(
  <main>
    <h1>Console</h1>
  </main>,
  document.body,
);
