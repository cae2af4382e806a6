// What is said of the model that made the pictures that are dropped next: a profile, and the facts that it asks for.
import { PROFILES, type Disclosure } from '../../api/photos.ts';
import { SelectField, TextField } from '../../elements/field.tsx';
import { Card } from '../../elements/page.tsx';

interface DisclosureFieldsProps {
  value: Disclosure;
  onChange(value: Disclosure): void;
}

/** Why pictures cannot be protected like this yet; undefined when they can. */
export function missingFact(disclosure: Disclosure): string | undefined {
  const { needs } = PROFILES[disclosure.profile];
  const missing = needs.find((name) => disclosure[name].trim() === '');
  return missing === undefined ? undefined : `Fill in: ${LABELS[missing].toLowerCase()}.`;
}

const LABELS = {
  aiProvider: 'Provider of the system',
  aiSystem: 'System or model',
  aiSystemVersion: 'Version of the system',
} as const;

export function DisclosureFields({ value, onChange }: DisclosureFieldsProps) {
  const { needs, serves } = PROFILES[value.profile];
  return (
    <Card title="Was it made by a model?">
      <div className="flex flex-col gap-3">
        <SelectField
          label="Disclosure"
          value={value.profile}
          hint={serves}
          onChange={({ target }) => onChange({ ...value, profile: target.value as Disclosure['profile'] })}
        >
          {Object.entries(PROFILES).map(([name, profile]) => (
            <option key={name} value={name}>
              {profile.title}
            </option>
          ))}
        </SelectField>
        {value.profile !== '' && (
          <div className="grid gap-3 sm:grid-cols-3">
            {Object.entries(LABELS).map(([name, label]) => (
              <TextField
                key={name}
                label={label}
                value={value[name as keyof typeof LABELS]}
                required={needs.some((need) => need === name)}
                hint={needs.some((need) => need === name) ? 'needed' : 'if known'}
                maxLength={200}
                onChange={({ target }) => onChange({ ...value, [name]: target.value })}
              />
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}
