import { TopicRouter } from '@nestmq/broker';

/** Whether what was sent under `routingKey` is meant by `pattern`, with AMQP's wildcards `*` and `#`. */
export function isMeant(pattern: string, routingKey: string): boolean {
  const router = new TopicRouter<true>();
  router.bind(pattern, true);
  return router.route(routingKey).size > 0;
}
