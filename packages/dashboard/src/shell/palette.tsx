// Ctrl-K: go to a page, open a trace or a photo by its id, change the appearance.
import { useNavigate } from '@tanstack/react-router';
import { CornerDownLeft } from 'lucide-react';
import { Dialog } from 'radix-ui';
import { useId, useState, type KeyboardEvent } from 'react';
import { chooseAppearance } from '../theme/appearance.ts';
import { matchingCommands, type Command } from './commands.ts';

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const navigate = useNavigate();
  const listId = useId();
  const found = matchingCommands(text);
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined): void => {
    if (command === undefined) return;
    onClose();
    if (command.appearance !== undefined) chooseAppearance(command.appearance);
    if (command.href === undefined) return;
    if (command.leaves) window.location.assign(command.href);
    else void navigate({ href: command.href });
  };
  const listen = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) setAt((chosen + step + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-scrim" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed top-[12dvh] left-1/2 z-40 w-[calc(100vw-2rem)] max-w-lg -translate-x-1/2 rounded-md border bg-raised shadow-xl"
        >
          <Dialog.Title className="sr-only">Go to</Dialog.Title>
          <input
            autoFocus
            role="combobox"
            aria-expanded
            aria-controls={listId}
            aria-activedescendant={found[chosen] ? `${listId}-${chosen}` : undefined}
            aria-label="Page, action, trace id or photo id"
            placeholder="Page, action, trace id or photo id"
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setAt(0);
            }}
            onKeyDown={listen}
            className="h-11 w-full border-b bg-transparent px-4 text-md outline-none placeholder:text-ink-3"
          />
          <ul id={listId} role="listbox" aria-label="Results" className="max-h-80 overflow-y-auto p-1">
            {found.map((command, index) => (
              <li
                key={command.name}
                id={`${listId}-${index}`}
                role="option"
                aria-selected={index === chosen}
                onMouseMove={() => setAt(index)}
                onClick={() => run(command)}
                className={`flex h-9 cursor-pointer items-center gap-2 rounded-sm px-3 ${index === chosen ? 'bg-selected' : ''}`}
              >
                <span className="min-w-0 flex-1 truncate">{command.name}</span>
                <span className="text-xs text-ink-3">{command.kind}</span>
                {index === chosen && <CornerDownLeft size={14} className="text-ink-3" aria-hidden />}
              </li>
            ))}
          </ul>
          {found.length === 0 && <p className="px-4 py-3 text-ink-3">Nothing goes by that name.</p>}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
