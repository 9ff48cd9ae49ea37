import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';
import { failuresFeatures } from './features/failures.js';
import { FeatureFixture, type FeatureHome } from './features/feature-fixture.js';
import { flowFeatures } from './features/flow.js';
import { messagesFeatures } from './features/messages.js';
import { operatingFeatures } from './features/operating.js';
import { routingFeatures } from './features/routing.js';

/**
 * What an application may rely on, whatever its URL: every test runs on each home, with queues and patterns of its own.
 * `start` resolves with undefined where the home can't be had, after a line that says so.
 */
export function featureContract(home: string, start: () => Promise<FeatureHome | undefined>): void {
  describe(`the features of the transport on ${home}`, () => {
    const on = new FeatureFixture();

    beforeAll(async () => {
      on.home = await start();
    }, 180_000);
    afterAll(async () => on.home?.close());
    beforeEach(() => on.begin());
    afterEach(() => on.end());

    routingFeatures(on);
    failuresFeatures(on);
    flowFeatures(on);
    messagesFeatures(on);
    operatingFeatures(on);
  });
}
