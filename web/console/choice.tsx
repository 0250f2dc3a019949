/** A labelled choice among a few. */
interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly string[];
  /** As they are shown, where that differs. */
  readonly names?: Readonly<Record<string, string>>;
  readonly onChoose: (option: string) => void;
}

export function Choice({ label, value, options, names = {}, onChoose }: ChoiceProps) {
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option} value={option}>
            {names[option] ?? option}
          </option>
        ))}
      </select>
    </label>
  );
}
