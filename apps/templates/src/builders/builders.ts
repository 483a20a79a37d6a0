import type { DriverName } from '#contracts';

import type { Builder } from './builder.ts';

/** The builder of each driver. */
export class Builders {
  readonly #builders: Readonly<Record<DriverName, Builder>>;

  constructor(builders: Readonly<Record<DriverName, Builder>>) {
    this.#builders = builders;
  }

  of(driver: DriverName): Builder {
    return this.#builders[driver];
  }
}
