/** Called once for each publish. */
export type OnConfirmed = (error?: unknown) => void;

/** Publishes so many, with at most so many unconfirmed at once. Resolves when all are confirmed; rejects with the first error. */
export function paced(
  count: number,
  inFlight: number,
  publish: (onConfirmed: OnConfirmed) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    const fill = (): void => {
      for (; sent < count && sent - confirmed < inFlight; sent++) publish(onConfirmed);
    };
    const onConfirmed: OnConfirmed = (error) => {
      if (error !== undefined && error !== null) return reject(error);
      confirmed++;
      return confirmed === count ? resolve() : fill();
    };
    fill();
  });
}
