// A segmented choice of a few values: arrow keys move, as in every radio group.
import { RadioGroup } from 'radix-ui';

interface ChoiceProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange(value: Value): void;
}

export function Choice<Value extends string>({ label, value, options, onChange }: ChoiceProps<Value>) {
  return (
    <RadioGroup.Root
      aria-label={label}
      orientation="horizontal"
      value={value}
      onValueChange={(next) => onChange(next as Value)}
      className="inline-flex h-8 max-w-full overflow-x-auto rounded-md border border-line-control bg-surface p-0.5"
    >
      {options.map(([option, text]) => (
        <RadioGroup.Item
          key={option}
          value={option}
          className="rounded-sm px-2.5 text-sm whitespace-nowrap text-ink-2 hover:text-ink data-[state=checked]:bg-selected data-[state=checked]:font-medium data-[state=checked]:text-accent"
        >
          {text}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
