import { describe, expect, it } from 'vitest';

import { planOrder, type Order } from './plan-order.ts';

function order(more: Partial<Order> = {}): Order {
  return { wanted: 3, sentAt: 0, endedAt: null, reached: null, misses: 0, ...more };
}

it('nothing is ordered when what runs is what is wanted', () => {
  expect(planOrder(null, 2, 2, 0)).toBe('none');
});

it('a difference is ordered once', () => {
  expect(planOrder(null, 3, 1, 0)).toBe('new');
  expect(planOrder(order(), 3, 1, 20_000)).toBe('none');
});

it('while an order is carried out more is ordered at once, less only later', () => {
  expect(planOrder(order(), 5, 1, 1000)).toBe('new');
  expect(planOrder(order(), 2, 1, 1000)).toBe('none');
  expect(planOrder(order(), 2, 1, 15_000)).toBe('new');
});

it('an order whose end was never heard is sent again', () => {
  expect(planOrder(order(), 3, 1, 59_000)).toBe('none');
  expect(planOrder(order(), 3, 1, 61_000)).toBe('again');
});

describe('without room for all', () => {
  const short = order({ endedAt: 1000, reached: 2 });

  it('the order is sent again with growing pauses of at most a minute', () => {
    expect(planOrder(short, 3, 2, 1500)).toBe('none');
    expect(planOrder(short, 3, 2, 2000)).toBe('again');
    expect(planOrder({ ...short, misses: 3 }, 3, 2, 8000)).toBe('none');
    expect(planOrder({ ...short, misses: 3 }, 3, 2, 9000)).toBe('again');
    expect(planOrder({ ...short, misses: 60 }, 3, 2, 61_000)).toBe('again');
  });

  it('wanting even more waits for the same pause, wanting less does not', () => {
    expect(planOrder(short, 4, 2, 1500)).toBe('none');
    expect(planOrder(short, 4, 2, 2000)).toBe('new');
    expect(planOrder(short, 1, 2, 1001)).toBe('new');
  });

  it('an order that failed counts like one without room', () => {
    const failed = order({ endedAt: 1000, reached: null, misses: 1 });
    expect(planOrder(failed, 3, 1, 2500)).toBe('none');
    expect(planOrder(failed, 3, 1, 3000)).toBe('again');
  });
});
