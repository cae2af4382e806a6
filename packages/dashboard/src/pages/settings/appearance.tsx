// Light, dark or like the system: kept in this browser.
import { Choice } from '../../elements/choice.tsx';
import { Card } from '../../elements/page.tsx';
import { chooseAppearance, useAppearance } from '../../theme/appearance.ts';

const OPTIONS = [
  ['system', 'Like the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
] as const;

export function AppearanceSection() {
  const appearance = useAppearance();
  return (
    <Card title="Appearance" note="kept in this browser">
      <Choice label="Appearance" value={appearance} options={OPTIONS} onChange={chooseAppearance} />
    </Card>
  );
}
