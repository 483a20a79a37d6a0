import { describe, expect, it } from 'vitest';

import { ZoneTable } from './zone-table.ts';

function table(hosts: string[], now = () => 1_000_000_000_000): ZoneTable {
  const zone = new ZoneTable('Fn.Example.com', { v4: '10.0.0.1', v6: null }, 5, now);
  zone.replace(hosts);
  return zone;
}

describe('ZoneTable', () => {
  it('knows hosts, the apex, the name server and what lies between', () => {
    const zone = table(['cart.fn.example.com', 'cart.shop.fn.example.com']);
    expect(zone.placeOf('fn.example.com')).toBe('apex');
    expect(zone.placeOf('ns.fn.example.com')).toBe('address');
    expect(zone.placeOf('cart.fn.example.com')).toBe('address');
    expect(zone.placeOf('cart.shop.fn.example.com')).toBe('address');
    expect(zone.placeOf('shop.fn.example.com')).toBe('empty');
    expect(zone.placeOf('mail.fn.example.com')).toBe('absent');
    expect(zone.placeOf('deeper.cart.fn.example.com')).toBe('absent');
    expect(zone.placeOf('example.com')).toBe('outside');
    expect(zone.placeOf('notfn.example.com')).toBe('outside');
    expect(zone.placeOf('xfn.example.com')).toBe('outside');
  });

  it('forgets a name, and the empty one above it, when its route goes', () => {
    const zone = table(['cart.shop.fn.example.com']);
    zone.replace([]);
    expect(zone.placeOf('cart.shop.fn.example.com')).toBe('absent');
    expect(zone.placeOf('shop.fn.example.com')).toBe('absent');
  });

  it('leaves out hosts of another domain', () => {
    expect(table(['cart.other.org']).size).toBe(0);
  });

  it('raises its serial with every change and only then', () => {
    const zone = table([]);
    const first = zone.serial;
    zone.replace(['a.fn.example.com']);
    expect(zone.serial).toBe(first + 1);
    zone.replace(['A.fn.example.com']);
    expect(zone.serial).toBe(first + 1);
    zone.replace(['b.fn.example.com']);
    expect(zone.serial).toBe(first + 2);
  });

  it('never falls back behind an earlier serial when it starts again', () => {
    const before = table(['a.fn.example.com'], () => 1_000_000_000_000).serial;
    expect(table([], () => 1_000_000_010_000).serial).toBeGreaterThan(before);
  });
});
