import cliProgress from 'cli-progress';

export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

/** A bar on a terminal, else a line now and then. */
export function showProgress(output: NodeJS.WriteStream): Progress {
  return output.isTTY ? bar(output) : lines(output);
}

function bar(stream: NodeJS.WriteStream): Progress {
  const shown = new cliProgress.SingleBar({
    format: 'orders {bar} {value}/{total} in {duration_formatted}',
    hideCursor: true,
    stream,
  });
  shown.start(0, 0);
  return {
    update(done, total) {
      shown.setTotal(total);
      shown.update(done);
    },
    stop: () => shown.stop(),
  };
}

const LINE_EVERY_ORDERS = 500;

function lines(output: NodeJS.WriteStream): Progress {
  let next = LINE_EVERY_ORDERS;
  return {
    update(done, total) {
      if (done < next) return;
      output.write(`${done} of ${total} orders have come to their end\n`);
      next = (Math.floor(done / LINE_EVERY_ORDERS) + 1) * LINE_EVERY_ORDERS;
    },
    stop() {
      // Nothing is open.
    },
  };
}
