// `?`: the keys, where they work.
import { Dialog } from '../elements/dialog.tsx';

const KEYS = [
  [
    'Everywhere',
    [
      ['Ctrl K', 'go to a page, a trace or a photo'],
      ['?', 'this list'],
    ],
  ],
  [
    'Traces',
    [
      ['/', 'filter'],
      ['j  k', 'next, previous'],
      ['Enter', 'open the trace'],
      ['Esc', 'close it'],
    ],
  ],
  [
    'One trace',
    [
      ['j  k', 'next, previous span'],
      ['← →', 'fold, unfold (in the list)'],
      ['e', 'next error'],
      ['Esc', 'back to the traces'],
    ],
  ],
] as const;

export function KeysHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" open onClose={onClose}>
      <div className="flex flex-col gap-4">
        {KEYS.map(([place, keys]) => (
          <section key={place}>
            <h3 className="mb-1 text-xs font-medium text-ink-3">{place}</h3>
            <dl className="grid grid-cols-[88px_1fr] gap-y-1">
              {keys.map(([key, meaning]) => (
                <div key={key} className="contents">
                  <dt>
                    <kbd className="rounded-sm border bg-sunken px-1.5 py-0.5 font-mono text-xs">{key}</kbd>
                  </dt>
                  <dd>{meaning}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
