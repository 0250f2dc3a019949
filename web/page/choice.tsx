/** How a text's next tokens are chosen. */

interface Given {
  /** What the number of tokens is of. */
  readonly name: string;
  readonly maxTokens: number;
  setMaxTokens(count: number): void;
  readonly temperature: number;
  setTemperature(temperature: number): void;
}

export function ChoiceOfTokens({ name, maxTokens, setMaxTokens, temperature, setTemperature }: Given) {
  return (
    <div class="settings">
      <label for="max-tokens">{name}</label>
      <input
        id="max-tokens"
        type="number"
        min={1}
        max={256}
        required
        value={maxTokens}
        onInput={(event) => setMaxTokens(event.currentTarget.valueAsNumber)}
      />
      <label for="temperature">Temperature (0: the likeliest words)</label>
      <input
        id="temperature"
        type="number"
        min={0}
        max={2}
        step={0.1}
        required
        value={temperature}
        onInput={(event) => setTemperature(event.currentTarget.valueAsNumber)}
      />
    </div>
  );
}
