/** Resolves when it is true, looking again and again. Milliseconds between two looks. */
export async function until(isTrue: () => boolean | Promise<boolean>, lookEveryMs = 10): Promise<void> {
  while (!(await isTrue())) {
    await new Promise((resolve) => {
      setTimeout(resolve, lookEveryMs);
    });
  }
}
