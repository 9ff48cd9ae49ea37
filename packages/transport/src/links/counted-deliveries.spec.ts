import { describe, expect, it } from '@jest/globals';
import type { Delivery } from '@nestmq/broker';
import { CountedDeliveries } from './counted-deliveries.js';
import { Suspects } from './suspects.js';

class FakeDelivery {
  settled = false;
  wasCounted = 0;

  constructor(
    readonly name: string,
    readonly isFound: boolean,
    public deliveryCount: number,
  ) {}

  count(): void {
    this.deliveryCount++;
    this.wasCounted++;
  }

  requeue(): boolean {
    this.settled = true;
    return true;
  }
}

/** A consumer's deliveries with a limit of 10, and a disk that is durable when asked to be. */
function setUp(prefetchCount = 100, suspects = new Suspects()) {
  const all: FakeDelivery[] = [];
  const handedOver: string[] = [];
  let settle: ((error?: Error) => void) | undefined;
  const durable = (): Promise<void> =>
    new Promise((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
  const counted = new CountedDeliveries({
    connection: { durable },
    prefetchCount,
    deliveryLimit: 10,
    suspects,
    onDelivery: (delivery) => handedOver.push((delivery as unknown as FakeDelivery).name),
  });
  counted.consumer = {
    get unsettledCount() {
      return all.filter(({ settled }) => !settled).length;
    },
  };
  const deliver = (name: string, isFound: boolean, deliveryCount = 0): FakeDelivery => {
    const delivery = new FakeDelivery(name, isFound, deliveryCount);
    all.push(delivery);
    counted.take(delivery as unknown as Delivery);
    return delivery;
  };
  const found = (name: string, deliveryCount = 0): FakeDelivery => deliver(name, true, deliveryCount);
  return {
    counted,
    handedOver,
    found,
    fresh: (name: string) => deliver(name, false),
    /** What is under way becomes durable, or is known not to be. */
    commit: async (error?: Error): Promise<void> => {
      await turn();
      settle?.(error);
      await turn();
    },
    ack: async (delivery: FakeDelivery): Promise<void> => {
      delivery.settled = true;
      counted.settled();
      await turn();
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('deliveries of what was found at opening', () => {
  it('are handed over when their count is durable, all with one commit, in order before what follows', async () => {
    const { handedOver, found, fresh, commit } = setUp();
    const deliveries = ['a', 'b', 'c'].map((name) => found(name));
    fresh('d');
    await turn();
    expect(handedOver).toEqual([]);
    await commit();
    expect(handedOver).toEqual(['a', 'b', 'c', 'd']);
    expect(deliveries.map(({ wasCounted }) => wasCounted)).toEqual([1, 1, 1]);
  });

  it('are not held back by a disk that has failed', async () => {
    const { handedOver, found, commit } = setUp();
    found('a');
    await commit(new Error('EIO'));
    expect(handedOver).toEqual(['a']);
  });

  it('go alone once counted half as often as they may be, and what follows waits', async () => {
    const { handedOver, found, fresh, commit, ack } = setUp();
    const first = found('new to it', 4);
    const second = found('suspect', 5);
    const third = found('another', 5);
    fresh('fresh');
    await commit();
    expect([handedOver, second.wasCounted]).toEqual([['new to it'], 0]);
    await ack(first);
    await commit();
    expect(handedOver).toEqual(['new to it', 'suspect']);
    expect(third.wasCounted).toBe(0);
    fresh('later');
    await ack(second);
    await commit();
    expect(handedOver).toEqual(['new to it', 'suspect', 'another']);
    await ack(third);
    expect(handedOver).toEqual(['new to it', 'suspect', 'another', 'fresh', 'later']);
  });

  it('are alone also before what comes while nothing else waits', async () => {
    const { handedOver, found, fresh, commit, ack } = setUp();
    const suspect = found('suspect', 5);
    await commit();
    fresh('fresh');
    await turn();
    expect(handedOver).toEqual(['suspect']);
    await ack(suspect);
    expect(handedOver).toEqual(['suspect', 'fresh']);
  });

  it('go one after the other where each is of another queue, and hold up no others there', async () => {
    const suspects = new Suspects();
    const queues = [setUp(100, suspects), setUp(100, suspects), setUp(100, suspects)];
    const handedOver = (): string[] => queues.flatMap((queue) => queue.handedOver);
    const commit = async (): Promise<void> => {
      for (const queue of queues) await queue.commit();
    };
    const [first, second, third] = queues.map(({ found }, i) => found(`suspect ${i}`, 5)) as [
      FakeDelivery,
      FakeDelivery,
      FakeDelivery,
    ];
    await commit();
    expect(handedOver()).toEqual(['suspect 0']);
    // It goes back instead: its queue has been paused.
    second.settled = true;
    queues[1]?.counted.settled();
    queues[1]?.fresh('fresh');
    await commit();
    expect(handedOver()).toEqual(['suspect 0', 'fresh']);
    await queues[0]?.ack(first);
    await commit();
    expect(handedOver()).toEqual(['suspect 0', 'fresh', 'suspect 2']);
    expect([first, second, third].map(({ wasCounted }) => wasCounted)).toEqual([1, 0, 1]);
  });

  it('are counted as far as they may have been in hand, and further where they were before', async () => {
    const { handedOver, found, commit } = setUp(5);
    for (let i = 0; i < 1000; i++) found(`in hand ${i}`);
    await commit();
    const behind = found('behind');
    const suspect = found('suspect', 1);
    expect(handedOver.slice(1000)).toEqual(['behind']);
    await commit();
    expect(handedOver.slice(1000)).toEqual(['behind', 'suspect']);
    expect([behind.wasCounted, suspect.wasCounted]).toEqual([0, 1]);
  });

  it('go back without having been handed over, where the consumer is cancelled meanwhile', async () => {
    const { counted, handedOver, found, commit } = setUp();
    const delivery = found('a');
    await turn();
    counted.giveBack();
    await commit();
    expect([delivery.settled, handedOver]).toEqual([true, []]);
  });
});

describe('deliveries of what came later', () => {
  it('are handed over at once', () => {
    const { handedOver, fresh } = setUp();
    const delivery = fresh('a');
    expect([handedOver, delivery.wasCounted]).toEqual([['a'], 0]);
  });
});
