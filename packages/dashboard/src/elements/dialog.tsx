// A question that must be answered before going on; and the one that asks for the name of what will be lost.
import { Dialog as Radix } from 'radix-ui';
import { X } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { Button, IconButton } from './button.tsx';
import { TextField } from './field.tsx';
import { ProblemNotice } from './notice.tsx';

interface DialogProps {
  title: string;
  open: boolean;
  onClose(): void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, open, onClose, children, wide = false }: DialogProps) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-scrim" />
        <Radix.Content
          aria-describedby={undefined}
          className={`scroll-quiet fixed top-1/2 left-1/2 z-40 max-h-[90dvh] w-[calc(100vw-2rem)] -translate-x-1/2 -translate-y-1/2 overflow-y-auto rounded-md border bg-raised p-4 shadow-xl ${wide ? 'max-w-2xl' : 'max-w-md'}`}
        >
          <div className="mb-3 flex items-center gap-2">
            <Radix.Title className="flex-1 text-md font-semibold">{title}</Radix.Title>
            <IconButton label="Close" onClick={onClose}>
              <X size={16} />
            </IconButton>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface ConfirmProps {
  title: string;
  open: boolean;
  /** What will happen, in numbers. */
  consequence: ReactNode;
  /** Must be typed to go on. */
  name: string;
  action: string;
  busy: boolean;
  error: Error | null;
  onConfirm(): void;
  onClose(): void;
}

export function ConfirmByName({
  title,
  open,
  consequence,
  name,
  action,
  busy,
  error,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const [typed, setTyped] = useState('');
  const close = (): void => {
    setTyped('');
    onClose();
  };
  return (
    <Dialog title={title} open={open} onClose={close}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name) onConfirm();
        }}
      >
        <div className="text-ink-2">{consequence}</div>
        <TextField
          label={`Type ${name} to go on`}
          value={typed}
          autoComplete="off"
          onChange={(event) => setTyped(event.target.value)}
        />
        {error && <ProblemNotice error={error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" look="danger" disabled={typed !== name || busy}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
