/** The console: what a provider's service is doing. */
import { render } from "preact";
import { App } from "./app.tsx";
import "./console.css";
import "./charts.css";

render(<App />, document.body);
