// The rooms of the dashboard in their one order; navigation, palette and keyboard read this list.
import { ChartColumn, Gauge, Images, LayoutDashboard, ListTree, Settings, type LucideIcon } from 'lucide-react';

export interface Room {
  name: string;
  to: '/' | '/traces' | '/cost' | '/latency' | '/photos' | '/settings';
  icon: LucideIcon;
  /** Carries the time range from page to page. */
  ranged: boolean;
}

export const ROOMS: readonly Room[] = [
  { name: 'Overview', to: '/', icon: LayoutDashboard, ranged: false },
  { name: 'Traces', to: '/traces', icon: ListTree, ranged: true },
  { name: 'Cost', to: '/cost', icon: ChartColumn, ranged: true },
  { name: 'Latency', to: '/latency', icon: Gauge, ranged: true },
  { name: 'Photos', to: '/photos', icon: Images, ranged: false },
  { name: 'Settings', to: '/settings', icon: Settings, ranged: false },
];
