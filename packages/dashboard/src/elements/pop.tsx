// A panel that opens at its button: the browser's own popover (top layer, Escape, a click outside closes it).
import { useId, useRef, useState, type ReactNode, type ToggleEvent } from 'react';

interface PopProps {
  /** What the button shows. */
  button: ReactNode;
  buttonClass: string;
  panelClass: string;
  side?: 'below' | 'above';
  align?: 'start' | 'end';
  /** Content, made when it opens; `close` after a choice. */
  children(close: () => void): ReactNode;
}

const GAP_PX = 4;
const EDGE_PX = 8;

export function Pop({ button, buttonClass, panelClass, side = 'below', align = 'start', children }: PopProps) {
  const id = useId();
  const trigger = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const toggled = (event: ToggleEvent<HTMLDivElement>): void => {
    const opens = event.newState === 'open';
    if (opens && trigger.current && panel.current)
      place(panel.current, trigger.current.getBoundingClientRect(), side, align);
    setOpen(opens);
  };
  return (
    <>
      <button ref={trigger} type="button" popoverTarget={id} aria-expanded={open} className={buttonClass}>
        {button}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        onBeforeToggle={toggled}
        className={`fixed inset-auto m-0 max-w-[calc(100vw-1rem)] rounded-md border bg-raised text-ink shadow-lg ${panelClass}`}
      >
        {open && children(() => document.getElementById(id)?.hidePopover())}
      </div>
    </>
  );
}

// aligned with one edge of the button, and kept inside the window
function place(panel: HTMLElement, button: DOMRect, side: 'below' | 'above', align: 'start' | 'end'): void {
  const { style } = panel;
  style.top = side === 'below' ? `${button.bottom + GAP_PX}px` : 'auto';
  style.bottom = side === 'above' ? `${window.innerHeight - button.top + GAP_PX}px` : 'auto';
  const sticksOut = align === 'end' && button.right < 300;
  style.left = align === 'start' ? `${button.left}px` : sticksOut ? `${EDGE_PX}px` : 'auto';
  style.right = align === 'end' && !sticksOut ? `${Math.max(EDGE_PX, window.innerWidth - button.right)}px` : 'auto';
}
