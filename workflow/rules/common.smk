# One format of each figure is in the report, and pages are.
def in_report(path, caption, category, labels):
    if not path.endswith((".svg", ".html")):
        return path
    return report(path, caption=caption, category=category, labels=labels)


# The job that trains one segment.
def segment(wildcards):
    return JOBS.train(wildcards.run, wildcards.chunk, int(wildcards.segment))
