// Tells alerts to the operator's webhook. What is not told yet stands in the table, so nothing is lost when the receiver or
// this process is away; an alert may come twice, under the same id.
import { Backoff } from '../egress/backoff.ts';
import type { Webhook } from '../egress/webhook.ts';
import type { Database } from '../storage/database.ts';
import { markTold, untoldAlerts, type StoredAlert } from '../storage/postgres/audit-alerts.ts';

export interface Teller {
  /** Sends what is not told, unless the receiver failed a moment ago; never throws. At once when called twice: the second waits. */
  tell(): Promise<void>;
}

/** Told at one go; the next call goes on. */
const MOST_AT_ONCE = 50;

export function createTeller({
  database,
  webhook,
  onError,
  nowMs = Date.now,
}: {
  database: Pick<Database, 'inSystem'>;
  webhook: Pick<Webhook, 'send' | 'place'>;
  onError: (error: unknown) => void;
  nowMs?: () => number;
}): Teller {
  const backoff = new Backoff();
  let telling: Promise<void> = Promise.resolve();

  async function tellAll(): Promise<void> {
    if (!backoff.isDue(nowMs())) return;
    for (const alert of await database.inSystem((sql) => untoldAlerts(sql, MOST_AT_ONCE))) {
      try {
        await webhook.send(`alert_${alert.id}`, 'security.alert', shown(alert));
      } catch (error) {
        backoff.failed(nowMs());
        throw error;
      }
      backoff.succeeded();
      await database.inSystem((sql) => markTold(sql, alert.id));
    }
  }

  return {
    tell() {
      telling = telling.then(tellAll).catch(onError);
      return telling;
    },
  };
}

const shown = ({ id, kind, about, at, detail, tenantId }: StoredAlert) => ({
  id,
  kind,
  about,
  at: at.toISOString(),
  tenantId: tenantId ?? null,
  detail,
});
