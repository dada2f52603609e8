#pragma once

// The JSON that stands in the page; page.h tells its shape.

#include <string>
#include <vector>

#include "report/page_charts.h"

namespace docmill {

// On one line and without a "<", so that it can stand inside of a script element.
std::string page_json(const ReportPage& page, const std::vector<PageChart>& charts);

}  // namespace docmill
