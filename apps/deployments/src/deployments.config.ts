import { z } from 'zod';

/** This room needs nothing but what every room has. */
export const deploymentsConfig = z.object({});
