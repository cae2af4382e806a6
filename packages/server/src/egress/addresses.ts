// Addresses that an outgoing request must not reach unless the operator says so: everything that is not the public
// internet (IANA special-purpose registries, RFC 6890), and forms of IPv6 that hold an IPv4 address of any kind.
import { BlockList, isIPv4, isIPv6 } from 'node:net';

const V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
// of IPv6 only global unicast is public, and of that not what carries or stands for something else
const V6_GLOBAL: readonly [string, number] = ['2000::', 3];
const V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const special = new BlockList();
for (const [address, bits] of V4) special.addSubnet(address, bits, 'ipv4');
for (const [address, bits] of V6) special.addSubnet(address, bits, 'ipv6');
const globalUnicast = new BlockList();
globalUnicast.addSubnet(...V6_GLOBAL, 'ipv6');

/** Whether a literal address belongs to the public internet; false for what is no address. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  return isIPv6(address) && globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
}
