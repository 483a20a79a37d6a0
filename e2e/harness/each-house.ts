import { afterAll, beforeAll, describe } from 'vitest';

import { House, houseKinds, type HouseKind } from './house.ts';

/** The same story in every kind of house; one house for all tests of the story. */
export function inEachHouse(story: string, tests: (house: () => House) => void, houses = houseKinds): void {
  describe.each(houses)(`${story} [$mode, $driver]`, (kind: HouseKind) => {
    let house: House | undefined;
    beforeAll(async () => {
      house = await House.start(kind);
    });
    afterAll(() => house?.stop());
    tests(() => {
      if (!house) throw new Error('the house did not start');
      return house;
    });
  });
}
