// Buttons: one primary action per view, the others quiet; icons never stand without a name.
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';

const LOOKS = {
  primary: 'border-transparent bg-accent text-on-accent hover:bg-accent-strong',
  plain: 'border-line-control bg-surface text-ink hover:bg-hover',
  quiet: 'border-transparent bg-transparent text-ink-2 hover:bg-hover hover:text-ink',
  danger: 'border-error bg-surface text-error hover:bg-error-wash',
} as const;

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: keyof typeof LOOKS;
  icon?: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

/** Classes of a plain button, for elements that are one without being made here. */
export const buttonLook = (look: keyof typeof LOOKS): string => `${SHAPE} px-3 ${LOOKS[look]}`;

const SHAPE =
  'inline-flex h-8 shrink-0 items-center justify-center gap-1.5 rounded-md border text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50';

export function Button({ look = 'plain', icon, className = '', children, ...rest }: ButtonProps) {
  return (
    <button type="button" className={`${buttonLook(look)} ${className}`} {...rest}>
      {icon}
      {children}
    </button>
  );
}

/** A button that is only an icon: its label is its tooltip and its name. */
export function IconButton({
  label,
  look = 'quiet',
  className = '',
  children,
  ...rest
}: ButtonProps & { label: string }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={`${SHAPE} w-8 ${LOOKS[look]} ${className}`}
      {...rest}
    >
      {children}
    </button>
  );
}
