// A page that is a client: tokenizer, shares, masks and the answer stay in it.
import { connect } from "mpcformer";

// A page in earnest has these compiled in: whoever chooses them reads the text.
const given = new URLSearchParams(location.search);
const party = (name) => ({ url: given.get(name), key: given.get(`${name}Key`) });

const output = document.querySelector("output");
const connecting = connect({ server: party("server"), dealer: party("dealer") });
connecting.catch((error) => {
  output.textContent = error.message;
});

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  output.textContent = "…";
  try {
    const client = await connecting;
    const { label, seconds } = await client.classify(event.target.elements.text.value);
    output.textContent = `${label} (${seconds.online.toFixed(2)} s)`;
  } catch (error) {
    output.textContent = error.message;
  }
});
