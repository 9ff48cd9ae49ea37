import { expect, it } from '@jest/globals';
import { type Link, QueueRecordBuilder } from '@nestmq/transport';
import type { FeatureFixture } from './feature-fixture.js';

export function messagesFeatures(on: FeatureFixture): void {
  it('records: headers, a delay, a time', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('due', (data, { headers }) =>
        on.seen.add(`${String(data)} ${JSON.stringify(headers['tenant'])}`),
      ),
    ]);
    const record = (data: string) => new QueueRecordBuilder(data).setHeader('tenant', 'acme');
    const began = Date.now();
    await on.emit(app, 'due', record('late').setDelay(2500).build());
    await on.emit(
      app,
      'due',
      record('soon')
        .setScheduleAt(began + 1500)
        .build(),
    );
    await on.emit(app, 'due', record('now').build());
    expect(await on.seen.until(3)).toEqual(['now "acme"', 'soon "acme"', 'late "acme"']);
    expect(Date.now() - began).toBeGreaterThanOrEqual(2490);
  });

  it('bodies: bytes as they are, large ones compressed', async () => {
    if (on.home === undefined) return;
    const app = await on.service(
      [
        on.event('bytes', (data: Buffer) => on.seen.add(data.toString('hex'))),
        on.event('text', (data: string, context) =>
          on.seen.add(`${data.length} ${context.getMessage().properties.contentEncoding}`),
        ),
      ],
      { compression: { encoding: 'gzip', threshold: 1000 } },
    );
    await on.emit(app, 'bytes', Buffer.from('00ff', 'hex'));
    await on.emit(app, 'text', 'x'.repeat(100_000));
    expect((await on.seen.until(2)).toSorted()).toEqual(['00ff', '100000 gzip']);
  });

  it("packets of Nest's own transport are understood", async () => {
    if (on.home === undefined) return;
    const app = await on.service([on.event('packet', on.saying('packet'))]);
    const body = Buffer.from(JSON.stringify({ pattern: `${on.id}.packet`, data: 'nest' }));
    app.server
      .unwrap<Link>()
      .publish({ exchange: '', routingKey: on.id, properties: { deliveryMode: 2 }, body }, () => {});
    expect(await on.seen.until(1)).toEqual(['packet nest 1']);
  });
}
