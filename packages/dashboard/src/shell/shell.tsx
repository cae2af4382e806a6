// What stays on screen behind the login: the rooms on the left (below, on a phone), the account, the palette.
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { LogOut, Monitor, Moon, PanelLeftClose, PanelLeftOpen, Plug, Search, Sun } from 'lucide-react';
import { lazy, Suspense, useEffect, useState, type ReactNode } from 'react';
import { sessionQuery } from '../api/session.ts';
import { IconButton } from '../elements/button.tsx';
import { Pop } from '../elements/pop.tsx';
import { isTyping } from '../elements/typing.ts';
import { rangeFromSearch } from '../filters/range.ts';
import { chooseAppearance, useAppearance, type Appearance } from '../theme/appearance.ts';
import { AlertBanner } from './alerts.tsx';
import { useLeave } from './leave.ts';
import { Mark } from './mark.tsx';
import { ROOMS, type Room } from './rooms.ts';
import { Workspaces } from './workspaces.tsx';

const Palette = lazy(async () => ({ default: (await import('./palette.tsx')).Palette }));
const KeysHelp = lazy(async () => ({ default: (await import('./keys-help.tsx')).KeysHelp }));
const NewWorkspace = lazy(async () => ({ default: (await import('./new-workspace.tsx')).NewWorkspace }));
const KEY = 'lumatrace.nav-narrow';

export function Shell() {
  const [searching, setSearching] = useState(false);
  const [helping, setHelping] = useState(false);
  // fetched while nothing else is: the first letters typed after Ctrl-K must not be lost
  useEffect(() => {
    const timer = window.setTimeout(() => void import('./palette.tsx'), 1_000);
    return () => window.clearTimeout(timer);
  }, []);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key === '?' && !isTyping(event.target)) setHelping(true);
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setSearching(true);
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, []);
  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-raised focus:p-2">
        Skip to the content
      </a>
      <SideRooms onSearch={() => setSearching(true)} />
      <main id="main" className="flex min-h-0 min-w-0 flex-1 flex-col" tabIndex={-1}>
        <AlertBanner />
        <div className="min-h-0 flex-1">
          <Outlet />
        </div>
      </main>
      <BottomRooms />
      <Suspense>{searching && <Palette onClose={() => setSearching(false)} />}</Suspense>
      <Suspense>{helping && <KeysHelp onClose={() => setHelping(false)} />}</Suspense>
    </div>
  );
}

function SideRooms({ onSearch }: { onSearch: () => void }) {
  const [narrow, setNarrow] = useState(() => localStorage.getItem(KEY) === '1');
  const fold = (): void => {
    localStorage.setItem(KEY, narrow ? '0' : '1');
    setNarrow(!narrow);
  };
  return (
    <nav
      aria-label="Rooms"
      className={`hidden shrink-0 flex-col border-r bg-surface md:flex ${narrow ? 'w-13' : 'w-48'}`}
    >
      <div className={`flex h-12 items-center gap-2 border-b ${narrow ? 'justify-center' : 'px-4'}`}>
        <Mark />
        {!narrow && <span className="text-md font-semibold tracking-tight">LumaTrace</span>}
      </div>
      <div className="p-2">
        <RoomButton narrow={narrow} label="Search" icon={<Search size={16} />} onClick={onSearch} hint="Ctrl K" />
      </div>
      <ul className="flex flex-1 flex-col gap-0.5 px-2">
        {ROOMS.map((room) => (
          <li key={room.to}>
            <RoomLink room={room} narrow={narrow} />
          </li>
        ))}
      </ul>
      <div className="flex flex-col gap-0.5 border-t p-2">
        <Account narrow={narrow} />
        <RoomButton
          narrow={narrow}
          label={narrow ? 'Unfold the navigation' : 'Fold'}
          icon={narrow ? <PanelLeftOpen size={16} /> : <PanelLeftClose size={16} />}
          onClick={fold}
        />
      </div>
    </nav>
  );
}

const ITEM = 'flex h-8 w-full items-center gap-2.5 rounded-md px-2.5 text-sm text-ink-2 hover:bg-hover hover:text-ink';

function RoomLink({ room, narrow }: { room: Room; narrow: boolean }) {
  return (
    <Link
      to={room.to}
      search={(search) => (room.ranged ? rangeFromSearch(search) : {})}
      title={narrow ? room.name : undefined}
      activeOptions={{ exact: room.to === '/', includeSearch: false }}
      className={`${ITEM} ${narrow ? 'justify-center px-0' : ''}`}
      activeProps={{ className: 'bg-selected font-medium !text-accent' }}
    >
      <room.icon size={16} aria-hidden />
      {narrow ? <span className="sr-only">{room.name}</span> : room.name}
    </Link>
  );
}

interface RoomButtonProps {
  narrow: boolean;
  label: string;
  icon: ReactNode;
  hint?: string;
  onClick: () => void;
}

function RoomButton({ narrow, label, icon, hint, onClick }: RoomButtonProps) {
  if (narrow) {
    return (
      <IconButton label={label} onClick={onClick}>
        {icon}
      </IconButton>
    );
  }
  return (
    <button type="button" className={ITEM} onClick={onClick}>
      {icon}
      <span className="flex-1 text-left">{label}</span>
      {hint && <kbd className="font-sans text-2xs text-ink-3">{hint}</kbd>}
    </button>
  );
}

const APPEARANCES = [
  ['system', 'Like the system', Monitor],
  ['light', 'Light', Sun],
  ['dark', 'Dark', Moon],
] as const satisfies readonly (readonly [Appearance, string, typeof Sun])[];

const CHOICE = 'flex h-8 w-full items-center gap-2 rounded-sm px-2 text-left text-sm hover:bg-hover';

function Account({ narrow }: { narrow: boolean }) {
  const { data: session } = useQuery(sessionQuery);
  const appearance = useAppearance();
  const navigate = useNavigate();
  const leave = useLeave();
  const [making, setMaking] = useState(false);
  const email = session?.user.email ?? '';
  return (
    <>
      <Pop
        side="above"
        buttonClass={`${ITEM} ${narrow ? 'justify-center px-0' : ''}`}
        panelClass="w-56 p-1"
        button={
          <>
            <span
              aria-hidden
              className="flex h-5 w-5 shrink-0 items-center justify-center rounded-full bg-accent-wash text-2xs font-semibold text-accent uppercase"
            >
              {email.slice(0, 1)}
            </span>
            <span className="sr-only">Account</span>
            {!narrow && <span className="truncate">{session?.user.name || email}</span>}
          </>
        }
      >
        {(close) => (
          <>
            <p className="border-b px-2 pt-1 pb-2 text-xs text-ink-3">
              <span className="block truncate text-ink">{email}</span>
              {session?.user.role}
            </p>
            <div className="border-b">
              <Workspaces
                itemClass={CHOICE}
                close={close}
                onNew={() => {
                  close();
                  setMaking(true);
                }}
              />
            </div>
            <div role="group" aria-label="Appearance" className="border-b py-1">
              {APPEARANCES.map(([value, label, Icon]) => (
                <button
                  key={value}
                  type="button"
                  aria-pressed={value === appearance}
                  onClick={() => chooseAppearance(value)}
                  className={`${CHOICE} ${value === appearance ? 'font-medium text-accent' : ''}`}
                >
                  <Icon size={14} aria-hidden /> {label}
                </button>
              ))}
            </div>
            <div className="pt-1">
              <button
                type="button"
                className={CHOICE}
                onClick={() => {
                  close();
                  void navigate({ to: '/connect' });
                }}
              >
                <Plug size={14} aria-hidden /> Connect an application
              </button>
              <button type="button" className={CHOICE} onClick={() => void leave()}>
                <LogOut size={14} aria-hidden /> Log out
              </button>
            </div>
          </>
        )}
      </Pop>
      <Suspense>{making && <NewWorkspace onClose={() => setMaking(false)} />}</Suspense>
    </>
  );
}

function BottomRooms() {
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  return (
    <nav aria-label="Rooms" className="flex shrink-0 border-t bg-surface md:hidden">
      {ROOMS.map((room) => {
        const here = room.to === '/' ? pathname === '/' : pathname.startsWith(room.to);
        return (
          <Link
            key={room.to}
            to={room.to}
            search={(search) => (room.ranged ? rangeFromSearch(search) : {})}
            aria-current={here ? 'page' : undefined}
            className={`flex min-w-0 flex-1 flex-col items-center gap-0.5 py-1.5 text-2xs ${here ? 'font-medium text-accent' : 'text-ink-2'}`}
          >
            <room.icon size={18} aria-hidden />
            {room.name}
          </Link>
        );
      })}
    </nav>
  );
}
