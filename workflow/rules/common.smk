# One format of each figure is in the report.
def in_report(path, caption, category, labels):
    if not path.endswith(".svg"):
        return path
    return report(path, caption=caption, category=category, labels=labels)
