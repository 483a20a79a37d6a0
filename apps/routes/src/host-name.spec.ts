import { describe, expect, it } from 'vitest';

import { hostName } from './host-name.ts';

describe('hostName', () => {
  it('puts a function of the default project straight under the domain', () => {
    expect(hostName({ project: 'default', function: 'echo-name' }, 'localhost')).toBe('echo-name.localhost');
  });

  it('puts a function of another project under its project', () => {
    expect(hostName({ project: 'shop', function: 'cart' }, 'fn.example.com')).toBe(
      'cart.shop.fn.example.com',
    );
  });

  it('refuses a name that DNS could not carry', () => {
    const domain = Array.from({ length: 3 }, () => 'd'.repeat(63)).join('.');
    const longest = { project: 'default', function: 'f'.repeat(61) };
    expect(hostName(longest, domain)).toHaveLength(253);
    expect(() => hostName({ project: 'default', function: 'f'.repeat(62) }, domain)).toThrow(
      /254 characters/,
    );
    expect(() => hostName({ project: 'p', function: 'f'.repeat(61) }, domain)).toThrow(/shorter name/);
  });
});
