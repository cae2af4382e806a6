// Who may do what, drawn from the policies that routes declare and the one table of roles: the guide is made from it.
import { ROLES, SCOPES, type Role } from '../access/principal.ts';
import { ROLE_SCOPES } from '../access/roles.ts';
import { enoughScopes, isRoleIn, isScopeHeld, type Policy, type Route } from './route.ts';

export const ROLES_GUIDE_FILE = new URL('../../../../docs/guides/roles.md', import.meta.url);

/** Whether a person of this role, the password changed already, may call a route of this policy. */
export function permits(role: Role, policy: Policy): boolean {
  if (policy.kind === 'person') return isRoleIn(policy, role);
  return policy.kind !== 'scope' || isScopeHeld(policy, ROLE_SCOPES[role]);
}

/** One line of the matrix: `GET /api/keys`, what it needs in words, and a cell per role in the order of ROLES. */
export interface PermissionRow {
  action: string;
  needs: string;
  cells: readonly boolean[];
}

/** Every guarded route once, by path and method; public routes need no role and are left out. */
export function permissionRows(routes: readonly Route[]): readonly PermissionRow[] {
  return routes
    .filter(({ policy }) => policy.kind !== 'public')
    .map(({ method, path, policy }) => ({
      action: `${method} ${path}`,
      needs: needsOf(policy),
      cells: ROLES.map((role) => permits(role, policy)),
    }))
    .sort((a, b) => byText(pathFirst(a.action), pathFirst(b.action)));
}

/** docs/guides/roles.md, whole. */
export function rolesGuide(routes: readonly Route[]): string {
  const scopes = SCOPES.map((scope) => line([code(scope), ...ROLES.map((role) => mark(ROLE_SCOPES[role].has(scope)))]));
  const actions = permissionRows(routes).map(({ action, needs, cells }) =>
    line([code(action), needs, ...cells.map(mark)]),
  );
  return `# Roles

<!-- Made from the policies of the routes: UPDATE_ROLES_GUIDE=1 node --test packages/server/src/http/permissions.test.ts -->

Rights are additive, there are no denials: a role holds scopes, a route names the scope that it needs. Whoever does not
hold it gets 403 \`FORBIDDEN\`, and a denied write leaves a line in the audit log. A test asks every cell of the second
table over the server's frame, with a session of that role.

## Scopes of a role

${line(['scope', ...ROLES])}
${line(['---', ...ROLES.map(() => '---')])}
${scopes.join('\n')}

## Actions

"anyone known" is any valid key, token or session; "a person" is a session, never a key.

${line(['action', 'needs', ...ROLES])}
${line(['---', '---', ...ROLES.map(() => '---')])}
${actions.join('\n')}
`;
}

function needsOf(policy: Policy): string {
  if (policy.kind === 'person')
    return policy.roles === undefined ? 'a person' : `a person, ${policy.roles.join(' or ')}`;
  if (policy.kind !== 'scope') return 'anyone known';
  return enoughScopes(policy).map(code).join(' or ');
}

function pathFirst(action: string): string {
  const [method = '', path = ''] = action.split(' ');
  return `${path} ${method}`;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const mark = (allowed: boolean): string => (allowed ? 'yes' : '–');
const code = (text: string): string => `\`${text}\``;
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
