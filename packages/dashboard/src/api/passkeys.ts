// Passkeys of one's own, and the way in by one. The library is loaded when it is needed.
import { queryOptions } from '@tanstack/react-query';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/browser';
import { fetchJson } from './client.ts';
import type { Session } from './session.ts';

export interface Passkey {
  credentialId: string;
  name: string;
  createdAt: string;
  lastUsedAt: string | null;
  isBackedUp: boolean;
}

/** The person closed the dialog of the browser, or it waited too long; said in words by whoever asked. */
export class PasskeyGivenUp extends Error {
  override readonly name = 'PasskeyGivenUp';
}

export const canUsePasskeys = (): boolean => typeof window.PublicKeyCredential === 'function';

export const passkeysQuery = queryOptions({
  queryKey: ['passkeys'],
  queryFn: async ({ signal }) => (await fetchJson<{ data: Passkey[] }>('/auth/passkeys', { signal })).data,
});

export async function addPasskey({ name, password }: { name: string; password: string }): Promise<Passkey> {
  const path = '/auth/passkeys';
  const { options } = await fetchJson<{ options: PublicKeyCredentialCreationOptionsJSON }>(`${path}/options`, {
    method: 'POST',
    json: { password },
  });
  const { startRegistration } = await import('@simplewebauthn/browser');
  const response = await inWords(startRegistration({ optionsJSON: options }));
  return fetchJson(path, { method: 'POST', json: { name, response } });
}

export const removePasskey = (credentialId: string): Promise<unknown> =>
  fetchJson(`/auth/passkeys/${encodeURIComponent(credentialId)}`, { method: 'DELETE' });

export async function loginByPasskey(): Promise<Session> {
  const path = '/auth/passkeys/login';
  const { options } = await fetchJson<{ options: PublicKeyCredentialRequestOptionsJSON }>(`${path}/options`, {
    method: 'POST',
    json: {},
  });
  const { startAuthentication } = await import('@simplewebauthn/browser');
  const response = await inWords(startAuthentication({ optionsJSON: options }));
  return fetchJson(path, { method: 'POST', json: { response } });
}

/** What the browser says of a ceremony is for programmers. */
async function inWords<T>(ceremony: Promise<T>): Promise<T> {
  try {
    return await ceremony;
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'InvalidStateError') throw new PasskeyGivenUp('This device has a passkey for you here already.');
    if (name === 'NotAllowedError' || name === 'AbortError')
      throw new PasskeyGivenUp('No passkey was given: the dialog was closed, or it took too long.');
    throw new PasskeyGivenUp('This browser cannot use a passkey at this address.');
  }
}
